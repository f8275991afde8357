"""YAML from strangers: files and texts to plain JSON values, manifests, and the line of everything that is reported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from yaml.events import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from content.collector import uncollected
from content.errors import BrokenContentError, Defect
from content.yamlplain import ITEMS, NotPlain, PlainReader
from content.yamlreader import PARSER, Document, Limits, Reader, broken, line_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yaml.events import Event

MIB = 1024 * 1024
TEXT = Path("<text>")
"""Stands for the file in defects of text that came from no file."""


LAB_FILE = Limits(size=256 * 1024, documents=1, nodes=20_000, depth=32, scalar=64 * 1024, aliased=2_000)
"""For `lab.yaml`, `quiz.yaml` and their like."""
MANIFESTS = Limits(size=16 * MIB, documents=120_000, nodes=6_000_000, depth=100, scalar=2 * MIB, aliased=200_000)
"""For Kubernetes manifests: a cluster's dump of 10 MB and 100,000 documents is ordinary."""


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
        raise broken(path, 0, cause, "check the path and its permissions") from None
    if len(data) > limits.size:
        raise _too_large(path, limits)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise broken(path, line, "the text is not UTF-8", "save the file as UTF-8") from None


def read_documents(text: str, file: Path = TEXT, limits: Limits = MANIFESTS) -> list[Document]:
    """Return every document of a YAML (or JSON) text; empty ones have the value None.

    Raises:
        BrokenContentError: the text is no YAML, crosses a limit, or repeats a key; with file and line.
    """
    if len(text) > limits.size:
        raise _too_large(file, limits)
    return Reader(text, file, limits).documents()


def read_manifests(
    source: Path | str, *, file: Path | None = None, shared: bool = False
) -> list[tuple[dict[str, Any], int]]:
    """Return the Kubernetes objects of a file, or of a text, each with the line on which it starts.

    Empty documents are passed over; a `List` (any kind that ends in List and has `items`) gives its items.

    Args:
        source: a path, or the text itself.
        file: the name to report for a text.
        shared: parts that are alike may be one object, which is much quicker: for who changes nothing.

    Raises:
        BrokenContentError: see `read_text` and `read_documents`; also for a document that is no mapping.
    """
    if isinstance(source, Path):
        file, text = source, read_text(source)
    else:
        file, text = file or TEXT, source
    if len(text) > MANIFESTS.size:
        raise _too_large(file, MANIFESTS)
    with uncollected():
        if shared and (quick := read_quickly(text, file, MANIFESTS)) is not None:
            return quick
        return _checked(_read(text, file, MANIFESTS), file)


def _read(text: str, file: Path, limits: Limits) -> list[tuple[Any, int]]:
    reader = Reader(text, file, limits)
    documents = [document for document in reader.documents() if document.value is not None]
    return [found for document in documents for found in _objects(document, reader.lines)]


def _checked(values: list[tuple[Any, int]], file: Path) -> list[tuple[dict[str, Any], int]]:
    advice = "an object has apiVersion, kind and metadata"
    defects = [
        Defect(file, line, f"expected a Kubernetes object, found {_kind(value)}", advice)
        for value, line in values
        if not isinstance(value, dict)
    ]
    if defects:
        raise BrokenContentError(defects)
    return values


def read_quickly(text: str, file: Path, limits: Limits) -> list[tuple[dict[str, Any], int]] | None:
    """Return what `read_manifests` does, with shared parts; None where it takes the careful way to tell what is wrong.

    Documents that are not of the simplest form are read one by one in the careful way.
    """
    if _UNUSUAL.search(text):
        return None
    plain = PlainReader()
    found: list[tuple[dict[str, Any], int]] = []
    room, line = limits.nodes, 1
    # A line of `---` ends a document whatever stands before it, even inside a text in quotes (YAML 1.2, 9.1.2).
    chunks = text.removeprefix("---\n").split("\n---\n")
    line += text.startswith("---\n")
    if len(chunks) > limits.documents:
        return None
    for chunk in chunks:
        try:
            count = _read_plain(plain, chunk, line, found)
        except NotPlain:
            try:
                count = _read_apart(chunk, file, limits, line, found)
            except BrokenContentError:
                return None
        room -= count
        if room < 0:
            return None
        line += chunk.count("\n") + 2
    return found


_UNUSUAL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
"""Characters that end lines elsewhere than YAML's new line does, or that no YAML may hold."""
_BEFORE = re.compile(r"(?:[ ]*(?:#[^\n]*)?\n)+")
"""Empty lines and comments above an object."""


def _read_plain(plain: PlainReader, chunk: str, line: int, found: list[tuple[dict[str, Any], int]]) -> int:
    if ITEMS in chunk or chunk.startswith(ITEMS[1:]):
        (around, count), items = plain.listed(chunk)
        if not str(around.get("kind", "")).endswith("List") or not all(isinstance(item, dict) for item, _ in items):
            raise NotPlain
        found += ((item, line + below) for item, below in items)
        return count
    value, count = plain.document(chunk)
    if value is None:
        return count
    if "items" in value and str(value.get("kind", "")).endswith("List"):
        raise NotPlain
    before = _BEFORE.match(chunk)
    found.append((value, line + (before.group().count("\n") if before else 0)))
    return count


def _read_apart(chunk: str, file: Path, limits: Limits, line: int, found: list[tuple[dict[str, Any], int]]) -> int:
    reader = Reader(chunk, file, limits)
    for document in reader.documents():
        if document.value is None:
            continue
        for value, at in _objects(document, reader.lines):
            if not isinstance(value, dict):
                raise broken(file, at, "no object", "")
            found.append((value, line - 1 + at))
    return reader.nodes


def line_of(text: str, path: Sequence[str | int], *, document: int = 0) -> int:
    """Return the line of the value at a path of keys and indexes (of the key, for a mapping's value).

    Where the path leaves the document, the line of the last step that exists. 0 when the text cannot be read that far.
    """
    try:
        return _find(PARSER(text), path, document)
    except yaml.YAMLError:
        return 0


def line_within(text: str, line: int, path: Sequence[str | int]) -> int:
    """Return the line of the value at a path below the mapping that starts on a line; 0 where there is none."""
    lines = text.split("\n")
    first = line - 1
    while first > 0 and not lines[first].startswith("---"):
        first -= 1
    parser = PARSER("\n".join(lines[first:]))
    try:
        while not isinstance(event := parser.get_event(), StreamEndEvent):
            if isinstance(event, MappingStartEvent) and line_at(event) + first == line:
                found = _below(parser, event, path)
                return found + first if found else 0
    except yaml.YAMLError:
        return 0
    return 0


def _below(parser: Any, event: Event, path: Sequence[str | int]) -> int:  # noqa: ANN401 - PyYAML's loaders
    found: tuple[Event, int] | None = (event, 0)
    for step in path:
        found = _step(parser, found[0], step) if found is not None else None
    return found[1] if found is not None else 0


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
    line = line_at(event)
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
                return value, line_at(key)
            _skip(parser, value)
    elif isinstance(event, SequenceStartEvent):
        index = 0
        while not isinstance(item := parser.get_event(), SequenceEndEvent):
            if index == step:
                return item, line_at(item)
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


def _too_large(file: Path, limits: Limits) -> BrokenContentError:
    size = f"{limits.size // MIB} MiB" if limits.size >= MIB else f"{limits.size // 1024} KiB"
    return broken(file, 0, f"larger than {size}, the most that netdojo reads of such a file", "split the file")
