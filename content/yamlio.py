"""YAML from strangers: read with limits, into plain JSON values, with the line of everything that is reported.

The text is read as a stream of events (libyaml's where PyYAML was built with it), and values are built from them here.
So size, depth, and what aliases expand to are bounded while reading, and reading costs less than `yaml.load`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from content.errors import BrokenContentError, Defect
from content.scalars import resolve, tagged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yaml.events import Event, NodeEvent

MIB = 1024 * 1024
TEXT = Path("<text>")
"""Stands for the file in defects of text that came from no file."""
PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MERGE = "<<"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read before a file is refused.

    Attributes:
        size: bytes of UTF-8.
        documents: documents of a stream.
        nodes: scalars, lists and mappings in all.
        depth: nesting of lists and mappings.
        scalar: characters of one scalar.
        aliased: values that aliases stand for, in all: what makes a small file a bomb.
    """

    size: int
    documents: int
    nodes: int
    depth: int
    scalar: int
    aliased: int


LAB_FILE = Limits(size=256 * 1024, documents=1, nodes=20_000, depth=32, scalar=64 * 1024, aliased=2_000)
"""For `lab.yaml`, `quiz.yaml` and their like."""
MANIFESTS = Limits(size=16 * MIB, documents=120_000, nodes=6_000_000, depth=100, scalar=2 * MIB, aliased=200_000)
"""For Kubernetes manifests: a cluster's dump of 10 MB and 100,000 documents is ordinary."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value in JSON's types, and the line (from 1) on which it starts."""

    value: Any
    line: int


def read_text(path: Path, limits: Limits = MANIFESTS) -> str:
    """Return a file's text.

    Raises:
        BrokenContentError: no such file, larger than the limit, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limits.size + 1)
    except OSError as error:
        cause = f"cannot be read: {error.strerror or error}"
        raise _broken(path, 0, cause, "check the path and its permissions") from None
    if len(data) > limits.size:
        raise _too_large(path, limits)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _broken(path, line, "the text is not UTF-8", "save the file as UTF-8") from None


def read_documents(text: str, file: Path = TEXT, limits: Limits = MANIFESTS) -> list[Document]:
    """Return every document of a YAML (or JSON) text; empty ones have the value None.

    Raises:
        BrokenContentError: the text is no YAML, crosses a limit, or repeats a key; with file and line.
    """
    if len(text) > limits.size:
        raise _too_large(file, limits)
    return _Reader(text, file, limits).documents()


def read_manifests(source: Path | str, *, file: Path | None = None) -> list[tuple[dict[str, Any], int]]:
    """Return the Kubernetes objects of a file, or of a text, each with the line on which it starts.

    Empty documents are passed over; a `List` (any kind that ends in List and has `items`) gives its items.

    Args:
        source: a path, or the text itself.
        file: the name to report for a text.

    Raises:
        BrokenContentError: see `read_text` and `read_documents`; also for a document that is no mapping.
    """
    if isinstance(source, Path):
        file, text = source, read_text(source)
    else:
        file, text = file or TEXT, source
    if len(text) > MANIFESTS.size:
        raise _too_large(file, MANIFESTS)
    reader = _Reader(text, file, MANIFESTS)
    found: list[tuple[dict[str, Any], int]] = []
    defects: list[Defect] = []
    for document in reader.documents():
        if document.value is None:
            continue
        for value, line in _objects(document, reader.lines):
            if isinstance(value, dict):
                found.append((value, line))
            else:
                cause = f"expected a Kubernetes object, found {_kind(value)}"
                defects.append(Defect(file, line, cause, "an object has apiVersion, kind and metadata"))
    if defects:
        raise BrokenContentError(defects)
    return found


def line_of(text: str, path: Sequence[str | int], *, document: int = 0) -> int:
    """Return the line of the value at a path of keys and indexes (of the key, for a mapping's value).

    Where the path leaves the document, the line of the last step that exists. 0 when the text cannot be read that far.
    """
    try:
        return _find(PARSER(text), path, document)
    except yaml.YAMLError:
        return 0


def _objects(document: Document, lines: dict[int, int]) -> Iterator[tuple[Any, int]]:
    value = document.value
    if not (isinstance(value, dict) and str(value.get("kind", "")).endswith("List") and "items" in value):
        yield value, document.line
        return
    items = value["items"]
    if not isinstance(items, list | None):
        yield items, document.line
        return
    for item in items or ():
        yield item, lines.get(id(item), document.line)


class _Reader:
    """Builds values from events, and counts what it builds.

    `lines` has the line of each mapping in a list of the document's own mapping (a List's items), by id.
    """

    def __init__(self, text: str, file: Path, limits: Limits) -> None:
        self._text, self._file, self._limits = text, file, limits
        self._next: Any = None
        self._nodes = self._aliased = 0
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._repeated: list[Defect] = []
        self.lines: dict[int, int] = {}

    def documents(self) -> list[Document]:
        """Read to the end."""
        found: list[Document] = []
        try:
            parser = PARSER(self._text)
            self._next = parser.get_event
            while not isinstance(event := self._next(), StreamEndEvent):
                if isinstance(event, DocumentStartEvent):
                    if len(found) == self._limits.documents:
                        raise self._beyond(event, f"more than {self._limits.documents:,} documents")
                    self._anchors.clear()
                    first = self._next()
                    line = _line(first)
                    found.append(Document(self._value(first, 0), line))
        except yaml.MarkedYAMLError as error:
            raise self._syntax(error) from None
        except yaml.YAMLError as error:
            cause = str(error).splitlines()[0]
            raise _broken(self._file, 0, f"this is no YAML: {cause}", "remove the control characters") from None
        except ValueError as error:
            # What Python itself refuses to hold, such as a lone surrogate.
            raise _broken(self._file, 0, f"this is no YAML: {error}", "save the file as UTF-8 text") from None
        if self._repeated:
            raise BrokenContentError(self._repeated)
        return found

    def _value(self, event: Event, depth: int) -> Any:  # noqa: ANN401 - JSON's types, as found
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise self._beyond(event, f"more than {self._limits.nodes:,} values")
        if isinstance(event, ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, AliasEvent):
            return self._alias(event)
        elif depth == self._limits.depth:
            raise self._beyond(event, f"nesting deeper than {self._limits.depth}")
        else:
            return self._collection(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = value, 1
        return value

    def _collection(self, event: Event, depth: int) -> Any:  # noqa: ANN401 - a list or a dict
        assert isinstance(event, SequenceStartEvent | MappingStartEvent)  # noqa: S101 - libyaml's grammar
        if event.tag is not None and event.tag not in {"tag:yaml.org,2002:seq", "tag:yaml.org,2002:map", "!"}:
            raise self._at(event, f"the tag {event.tag} is not allowed", "remove the tag")
        began = self._nodes
        if event.anchor:
            self._anchors.pop(event.anchor, None)
        value = self._mapping(event, depth) if isinstance(event, MappingStartEvent) else self._sequence(depth)
        if event.anchor:
            self._anchors[event.anchor] = value, self._nodes - began + 1
        return value

    def _sequence(self, depth: int) -> list[Any]:
        found = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            found.append(self._value(event, depth + 1))
        return found

    def _mapping(self, start: MappingStartEvent, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[Any] = []
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._key(event)
            value = self._value(self._next(), depth + 1)
            if key == MERGE and event.implicit[0]:
                merged.extend(self._merged(event, value))
            elif key in found:
                cause = f"the key {key!r} is given twice"
                self._repeated.append(Defect(self._file, _line(event), cause, "keep one of them"))
            else:
                found[key] = value
        for other in merged:
            for key, value in other.items():
                found.setdefault(key, value)
        if depth == 2:
            self.lines[id(found)] = _line(start)
        return found

    def _key(self, event: Event) -> str:
        """A key as JSON has it: kubectl turns the key 80 into "80", and true into "true"."""
        self._nodes += 1
        if not isinstance(event, ScalarEvent):
            raise self._at(event, "a key that is no plain word", "quote it if it is meant as text")
        if not event.implicit[0]:
            return event.value
        value = self._scalar(event)
        if value is None:
            raise self._at(event, "a key that is empty", "name the field, or quote the key")
        if event.anchor:
            self._anchors[event.anchor] = value, 1
        return str(value).lower() if isinstance(value, bool) else event.value

    def _merged(self, event: NodeEvent, value: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - as found
        """The mappings that `<<` brings in. They were copied and counted as aliases, so this cannot grow unseen."""
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(item, dict) for item in values):
            raise self._at(event, "<< must name a mapping, or a list of mappings", "check the anchor")
        return values

    def _scalar(self, event: ScalarEvent) -> Any:  # noqa: ANN401 - JSON's scalars
        text = event.value
        if len(text) > self._limits.scalar:
            raise self._beyond(event, f"a text of more than {self._limits.scalar:,} characters")
        if event.implicit[0]:
            return resolve(text)
        if event.tag is None or event.tag == "!":
            return text
        try:
            return tagged(event.tag, text)
        except ValueError as error:
            raise self._at(event, str(error), "remove the tag, or quote the text") from None

    def _alias(self, event: AliasEvent) -> Any:  # noqa: ANN401 - JSON's types
        if event.anchor not in self._anchors:
            cause = f"*{event.anchor} stands for nothing that was complete before this line"
            raise self._at(event, cause, f"define &{event.anchor} above, outside of its own value")
        value, size = self._anchors[event.anchor]
        self._nodes += size - 1
        self._aliased += size
        if self._aliased > self._limits.aliased:
            raise self._beyond(event, f"aliases that expand to more than {self._limits.aliased:,} values")
        return _copied(value)

    def _at(self, event: Event, cause: str, remedy: str) -> BrokenContentError:
        return _broken(self._file, _line(event), cause, remedy)

    def _beyond(self, event: Event, what: str) -> BrokenContentError:
        return self._at(
            event, f"{what}: this is beyond what netdojo reads", "split the file, or check where it is from"
        )

    def _syntax(self, error: yaml.MarkedYAMLError) -> BrokenContentError:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problem = error.problem or error.context or "unreadable"
        context = f" {error.context}" if error.context and error.problem else ""
        remedy = "use spaces, not tabs" if "'\\t'" in problem else "check indentation, quotes and colons near this line"
        return _broken(self._file, line, f"this is no YAML: {problem}{context} (column {column})", remedy)


def _line(event: Event) -> int:
    """Where an event starts, counted from 1; every event of a parsed text has a mark."""
    return event.start_mark.line + 1 if event.start_mark else 0


def _copied(value: Any) -> Any:  # noqa: ANN401 - JSON's types
    """What an alias stands for, as a value of its own: changing one must not change the other."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def _kind(value: object) -> str:
    match value:
        case list():
            return "a list"
        case None:
            return "nothing"
        case str():
            return f"the text {value[:40]!r}"
        case _:
            return f"{str(value)[:40]}"


def _find(parser: Any, path: Sequence[str | int], document: int) -> int:  # noqa: ANN401 - PyYAML's loaders
    seen = -1
    while seen < document:
        event = parser.get_event()
        if isinstance(event, StreamEndEvent):
            return 0
        seen += isinstance(event, DocumentStartEvent)
    event = parser.get_event()
    line = _line(event)
    for step in path:
        found = _step(parser, event, step)
        if found is None:
            return line
        event, line = found
    return line


def _step(parser: Any, event: Event, step: str | int) -> tuple[Event, int] | None:  # noqa: ANN401 - PyYAML's loaders
    """The event of the value one step down, and its line; None where there is none."""
    if isinstance(event, MappingStartEvent):
        while not isinstance(key := parser.get_event(), MappingEndEvent):
            name = key.value if isinstance(key, ScalarEvent) else None
            _skip(parser, key)
            value = parser.get_event()
            if name == str(step):
                return value, _line(key)
            _skip(parser, value)
    elif isinstance(event, SequenceStartEvent):
        index = 0
        while not isinstance(item := parser.get_event(), SequenceEndEvent):
            if index == step:
                return item, _line(item)
            _skip(parser, item)
            index += 1
    return None


def _skip(parser: Any, event: Event) -> None:  # noqa: ANN401 - PyYAML's loaders
    """Pass over the rest of the value that starts with this event."""
    depth = 0
    while True:
        depth += isinstance(event, MappingStartEvent | SequenceStartEvent)
        depth -= isinstance(event, MappingEndEvent | SequenceEndEvent)
        if depth <= 0:
            return
        event = parser.get_event()


def _broken(file: Path, line: int, cause: str, remedy: str) -> BrokenContentError:
    return BrokenContentError([Defect(file, line, cause, remedy)])


def _too_large(file: Path, limits: Limits) -> BrokenContentError:
    size = f"{limits.size // MIB} MiB" if limits.size >= MIB else f"{limits.size // 1024} KiB"
    return _broken(file, 0, f"larger than {size}, the most that netdojo reads of such a file", "split the file")
