"""Manifests named on a command line: files, folders of YAML, or standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.ports import Manifest


def read_located(names: Iterable[str]) -> list[tuple[Manifest, str, int]]:
    """The objects of all files, in their order; folders give their YAML and JSON files by name.

    Each object comes with its file and the line on which it starts (`-` for standard input).

    Raises:
        UsageError: a path that is not there.
        BrokenContentError: with file and line.
    """
    import sys
    from pathlib import Path

    from content.errors import UsageError
    from content.yamlio import read_manifests

    objects: list[tuple[Manifest, str, int]] = []
    for name in names:
        if name == "-":
            found = read_manifests(sys.stdin.read(), file=Path("-"))
            objects += ((item, "-", line) for item, line in found)
            continue
        path = Path(name)
        if not path.exists():
            raise UsageError(f"{name} is not there", remedy="name a manifest file, a folder of them, or -")
        files = (
            sorted(f for f in path.rglob("*") if f.suffix in {".yaml", ".yml", ".json"}) if path.is_dir() else [path]
        )
        for file in files:
            objects += ((item, str(file), line) for item, line in read_manifests(file))
    return objects
