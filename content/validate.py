"""What no single file can show: names that do not exist, files that nothing reads, text that does not fit.

`content.load` says whether files can be used at all; this says whether what they say together makes sense. Whether a
lab's claims are true is shown by traffic only (`netdojo author test`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from content.errors import Defect, UsageError
from content.labcheck import check_lab
from content.load import Loader
from content.yamlio import LAB_FILE, line_of, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from content.model import Chapter, Course, Lab, Lesson, Question

WIDEST = 56
"""Columns of a diagram or listing: it must fit beside the matrix on a terminal of 120, and alone on one of 60."""
FENCE = re.compile(r"\s*(```+|~~~+)")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def lint(folder: Path) -> tuple[Defect, ...]:
    """Return every defect of a course, a chapter or a lab, in the order of files and lines.

    Raises:
        UsageError: the folder is none of these.
    """
    loader = Loader(folder)
    found: list[Defect] = []
    if (folder / "course.yaml").exists():
        if course := loader.course():
            found.extend(_course(course, loader.defects))
    elif (folder / "chapter.yaml").exists():
        if chapter := loader.chapter(folder):
            found.extend(_chapter(chapter, folder, loader.defects))
    elif (folder / "lab.yaml").exists():
        if lab := loader.lab(folder):
            found.extend(_lab(lab, loader.defects))
    else:
        raise UsageError(
            f"{folder} holds no course.yaml, chapter.yaml or lab.yaml",
            remedy="give the folder of a course, a chapter or a lab",
        )
    return tuple(sorted([*loader.defects, *found], key=lambda defect: (str(defect.file), defect.line)))


def _course(course: Course, unread: Sequence[Defect]) -> Iterator[Defect]:
    numbers: dict[int, Path] = {}
    labs: dict[str, Path] = {}
    for chapter in course.chapters:
        if other := numbers.get(chapter.number):
            yield Defect(chapter.folder, 0, f"chapter {chapter.number} is already {other.name}", "number it otherwise")
        numbers[chapter.number] = chapter.folder
        for lab in chapter.labs:
            if other := labs.get(lab.id):
                yield Defect(lab.folder, 0, f"there is another lab {lab.id} in {other}", "name it otherwise")
            labs[lab.id] = lab.folder
        yield from _chapter(chapter, course.folder, unread)


def _chapter(chapter: Chapter, root: Path, unread: Sequence[Defect]) -> Iterator[Defect]:
    lessons: dict[str, Path] = {}
    for lesson in chapter.lessons:
        if other := lessons.get(lesson.id):
            yield Defect(lesson.path, 0, f"{other.name} has the same id, {lesson.id}", "name it otherwise")
        lessons[lesson.id] = lesson.path
        yield from _lesson(lesson, root)
    for lab in chapter.labs:
        yield from _lab(lab, unread)
    if chapter.quiz:
        file = chapter.folder / "quiz.yaml"
        yield from _quiz(file, read_text(file, LAB_FILE), chapter.quiz.questions)


def _lab(lab: Lab, unread: Sequence[Defect]) -> Iterator[Defect]:
    start = lab.folder / "start"
    yield from check_lab(lab, complete=not any(defect.file.is_relative_to(start) for defect in unread))
    yield from _widths(lab.folder / "instructions.md", lab.instructions)


def _lesson(lesson: Lesson, root: Path) -> Iterator[Defect]:
    # What stands before the text is the front matter; line numbers are the file's.
    offset = read_text(lesson.path, LAB_FILE).count("\n") - lesson.text.count("\n")
    yield from _widths(lesson.path, lesson.text, offset)
    for number, line in enumerate(lesson.text.splitlines(), offset + 1):
        for target in LINK.findall(line):
            if "://" in target or target.startswith("#"):
                continue
            place = (lesson.path.parent / target.partition("#")[0]).resolve()
            if not place.is_relative_to(root.resolve()):
                yield Defect(lesson.path, number, f"the link {target} leaves the course", "link inside of the course")
            elif not place.exists():
                yield Defect(lesson.path, number, f"the link {target} leads nowhere", "links are relative to this file")


def _widths(file: Path, text: str, offset: int = 0) -> Iterator[Defect]:
    """Lines inside of fences that are too wide: prose is wrapped by the reader, diagrams are not."""
    fence = ""
    opened = 0
    for number, line in enumerate(text.splitlines(), offset + 1):
        if mark := FENCE.match(line):
            if not fence:
                fence, opened = mark.group(1), number
            elif mark.group(1) == fence:
                fence = ""
        elif fence and len(line) > WIDEST:
            yield Defect(file, number, f"{len(line)} columns in a listing", f"at most {WIDEST} fit every terminal")
    if fence:
        yield Defect(file, opened, "this listing is never closed", f"end it with {fence}")


def _quiz(file: Path, text: str, questions: tuple[Question, ...]) -> Iterator[Defect]:
    seen: set[str] = set()
    for index, question in enumerate(questions):
        line = line_of(text, ("questions", index, "id"))
        if question.id in seen:
            yield Defect(file, line, f"another question has the id {question.id}", "progress is kept by id: change one")
        seen.add(question.id)
        right = sum(option.right for option in question.options)
        if right == 0:
            yield Defect(file, line, f"{question.id} has no right option", "mark it with right: true")
        elif right > 1 and not question.several:
            remedy = "give it several: true, or mark one option only"
            yield Defect(file, line, f"{question.id} has {right} right options", remedy)
