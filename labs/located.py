"""Where an object that the cluster refused stands: the cluster knows its kind and name, people want file and line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from content.errors import BrokenContentError, Defect
from content.yamlio import read_manifests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from content import model
    from grader.ports import Manifest

Placed = tuple["Manifest", str, int]
"""An object, its file, and the line on which it starts."""


def places(manifests: Iterable[model.Manifest]) -> list[Placed]:
    """The objects of a lab's files, each with its place."""
    return [
        (item, str(manifest.path), line)
        for manifest in manifests
        for item, line in read_manifests(manifest.text, file=manifest.path)
    ]


def locate(error: BrokenContentError, placed: Iterable[Placed]) -> BrokenContentError:
    """The same defects with file and line in place of kind and name, where just one object has these."""
    known: dict[str, list[tuple[str, int]]] = {}
    for item, file, line in placed:
        known.setdefault(_called(item), []).append((file, line))
    return BrokenContentError(_at(defect, known.get(str(defect.file), [])) for defect in error.defects)


def _at(defect: Defect, found: list[tuple[str, int]]) -> Defect:
    if len(found) != 1:
        return defect
    ((file, line),) = found
    return Defect(Path(file), line, defect.cause, defect.remedy)


def _called(item: Manifest) -> str:
    metadata = item.get("metadata")
    name = metadata.get("name", "?") if isinstance(metadata, dict) else "?"
    return f"{item.get('kind', 'object')}/{name}"
