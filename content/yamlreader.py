"""Values from YAML's events, with limits that hold while reading.

libyaml finds the events where PyYAML was built with it; the values are built here, and counted. `yaml.load` would cost
twice as much, recurse in C as deep as the text says, and expand what it is told to expand.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    from pathlib import Path

    from yaml.events import Event, NodeEvent

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


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value in JSON's types, and the line (from 1) on which it starts."""

    value: Any
    line: int


class Reader:
    """Builds values from events, and counts what it builds.

    `lines` has the line of each mapping in a list of the document's own mapping (a List's items), by id.
    """

    def __init__(self, text: str, file: Path, limits: Limits) -> None:
        self._text, self._file, self._limits = text, file, limits
        self._next: Any = None
        self._nodes = self._aliased = 0
        self._deepest = 0
        self._anchors: dict[str, tuple[Any, int, int]] = {}  # the value, how many values it has, how deep it goes
        self._repeated: list[Defect] = []
        self.lines: dict[int, int] = {}

    @property
    def nodes(self) -> int:
        """How many scalars, lists and mappings were read."""
        return self._nodes

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
                    line = line_at(first)
                    found.append(Document(self._value(first, 0), line))
        except yaml.MarkedYAMLError as error:
            raise self._syntax(error) from None
        except yaml.YAMLError as error:
            cause = str(error).splitlines()[0]
            raise broken(self._file, 0, f"this is no YAML: {cause}", "remove the control characters") from None
        except ValueError as error:
            # What Python itself refuses to hold, such as a lone surrogate.
            raise broken(self._file, 0, f"this is no YAML: {error}", "save the file as UTF-8 text") from None
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
            return self._alias(event, depth)
        elif depth == self._limits.depth:
            raise self._beyond(event, f"nesting deeper than {self._limits.depth}")
        else:
            return self._collection(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = value, 1, 0
        return value

    def _collection(self, event: Event, depth: int) -> Any:  # noqa: ANN401 - a list or a dict
        assert isinstance(event, SequenceStartEvent | MappingStartEvent)  # noqa: S101 - libyaml's grammar
        if event.tag is not None and event.tag not in {"tag:yaml.org,2002:seq", "tag:yaml.org,2002:map", "!"}:
            raise self._at(event, f"the tag {event.tag} is not allowed", "remove the tag")
        began, deepest = self._nodes, self._deepest
        self._deepest = depth + 1
        if event.anchor:
            self._anchors.pop(event.anchor, None)
        value = self._mapping(event, depth) if isinstance(event, MappingStartEvent) else self._sequence(depth)
        if event.anchor:
            self._anchors[event.anchor] = value, self._nodes - began + 1, self._deepest - depth
        self._deepest = max(deepest, self._deepest)
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
                self._repeated.append(Defect(self._file, line_at(event), cause, "keep one of them"))
            else:
                found[key] = value
        for other in merged:
            for key, value in other.items():
                found.setdefault(key, value)
        if depth == 2:
            self.lines[id(found)] = line_at(start)
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
            self._anchors[event.anchor] = value, 1, 0
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

    def _alias(self, event: AliasEvent, depth: int) -> Any:  # noqa: ANN401 - JSON's types
        if event.anchor not in self._anchors:
            cause = f"*{event.anchor} stands for nothing that was complete before this line"
            raise self._at(event, cause, f"define &{event.anchor} above, outside of its own value")
        value, size, height = self._anchors[event.anchor]
        self._deepest = max(self._deepest, depth + height)
        if depth + height > self._limits.depth:
            raise self._beyond(event, f"nesting deeper than {self._limits.depth}")
        self._nodes += size - 1
        self._aliased += size
        if self._aliased > self._limits.aliased:
            raise self._beyond(event, f"aliases that expand to more than {self._limits.aliased:,} values")
        return _copied(value)

    def _at(self, event: Event, cause: str, remedy: str) -> BrokenContentError:
        return broken(self._file, line_at(event), cause, remedy)

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
        return broken(self._file, line, f"this is no YAML: {problem}{context} (column {column})", remedy)


def _copied(value: Any) -> Any:  # noqa: ANN401 - JSON's types
    """What an alias stands for, as a value of its own: changing one must not change the other."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def line_at(event: Event) -> int:
    """Where an event starts, counted from 1; every event of a parsed text has a mark."""
    return event.start_mark.line + 1 if event.start_mark else 0


def broken(file: Path, line: int, cause: str, remedy: str) -> BrokenContentError:
    """The error of one defect."""
    return BrokenContentError([Defect(file, line, cause, remedy)])
