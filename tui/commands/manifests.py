"""Manifests named on a command line: files, folders of YAML, or standard input."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from content.errors import BrokenContentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from grader.ports import Manifest

    Skipped = Callable[[BrokenContentError], None]
    Found = list[tuple[Manifest, int]]

MARK = re.compile(r"^---(?=[ \t\r]|$)", re.MULTILINE)
"""What begins a document (YAML 1.2, 9.1.2)."""


def read_located(
    names: Iterable[str], *, skipped: Skipped | None = None, shared: bool = False
) -> list[tuple[Manifest, str, int]]:
    """The objects of all files, in their order; folders give their YAML and JSON files by name.

    Each object comes with its file and the line on which it starts (`-` for standard input).

    Args:
        names: files, folders or `-`.
        skipped: called for each document that cannot be read, which is then left out; without it that is an error.
        shared: parts that are alike may be one object, which is much quicker: for who changes nothing.

    Raises:
        UsageError: a path that is not there.
        BrokenContentError: with file and line.
    """
    import sys
    from pathlib import Path

    from content.errors import UsageError

    objects: list[tuple[Manifest, str, int]] = []
    for name in names:
        if name == "-":
            objects += ((item, "-", line) for item, line in _text(sys.stdin.read(), Path("-"), skipped, shared=shared))
            continue
        path = Path(name)
        if not path.exists():
            raise UsageError(f"{name} is not there", remedy="name a manifest file, a folder of them, or -")
        files = (
            sorted(f for f in path.rglob("*") if f.suffix in {".yaml", ".yml", ".json"}) if path.is_dir() else [path]
        )
        for file in files:
            objects += ((item, str(file), line) for item, line in _file(file, skipped, shared=shared))
    return objects


def _file(file: Path, skipped: Skipped | None, *, shared: bool) -> Found:
    from content.yamlio import read_manifests, read_text

    if skipped is None:
        return read_manifests(file, shared=shared)
    try:
        text = read_text(file)
    except BrokenContentError as error:
        skipped(error)
        return []
    return _text(text, file, skipped, shared=shared)


def _text(text: str, file: Path, skipped: Skipped | None, *, shared: bool) -> Found:
    """The objects of a text; where one document is broken and may be skipped, each document is read by itself."""
    from content.yamlio import read_manifests

    try:
        return read_manifests(text, file=file, shared=shared)
    except BrokenContentError:
        if skipped is None:
            raise
    found: Found = []
    begin, line = 0, 0
    for end in [*(mark.start() for mark in MARK.finditer(text)), len(text)]:
        part = text[begin:end]
        try:
            found += ((item, number + line) for item, number in read_manifests(part, file=file))
        except BrokenContentError as error:
            skipped(BrokenContentError(replace(each, line=each.line + line) for each in error.defects))
        line += part.count("\n")
        begin = end
    return found
