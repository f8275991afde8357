"""JSON schema of each file, for editors that complete and check YAML as it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from content.errors import UsageError
from content.model import ChapterSpec, CourseSpec, LabSpec, LessonHead, Quiz
from content.wording import suggestion

if TYPE_CHECKING:
    from content.model import Model

KINDS: dict[str, type[Model]] = {
    "course": CourseSpec,
    "chapter": ChapterSpec,
    "lesson": LessonHead,
    "quiz": Quiz,
    "lab": LabSpec,
}
"""File by file: `course.yaml`, `chapter.yaml`, the front matter of a lesson, `quiz.yaml`, `lab.yaml`."""


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of one kind of file.

    Raises:
        UsageError: there is no such kind.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no schema of {kind!r}", remedy=suggestion(kind, KINDS))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **KINDS[kind].model_json_schema()}
