"""Courses as a flat list of what can be opened, with marks of progress. Pure but for reading the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from content.model import Chapter, Course, Lab, Lesson, Quiz
    from labs.progress import ProgressStore

DONE, BEGUN, NOT_BEGUN = "✓", "◐", "○"


@dataclass(frozen=True, slots=True)
class Entry:
    """A lesson, a quiz or a lab in its place.

    Attributes:
        chapter: where it stands.
        number: its place among its kind in the chapter, from 1.
        item: the thing itself.
    """

    chapter: Chapter
    number: int
    item: Lesson | Quiz | Lab

    @property
    def kind(self) -> str:
        """`lesson`, `quiz` or `lab`."""
        return type(self.item).__name__.lower()

    @property
    def id(self) -> str:
        """Unique among all entries."""
        return f"{self.kind}:{self.chapter.id}:{getattr(self.item, 'id', 'quiz')}"

    @property
    def title(self) -> str:
        """What lists show."""
        match self.kind:
            case "lab":
                return self.item.spec.title  # type: ignore[union-attr] # a Lab
            case "lesson":
                return self.item.title  # type: ignore[union-attr] # a Lesson
            case _:
                return f"Quiz: {self.chapter.title}"

    @property
    def place(self) -> str:
        """The number people say: `3.2` is the second lab of chapter 3."""
        return f"{self.chapter.number}.{self.number}"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an entry is: a symbol, and a few words."""

    symbol: str
    note: str = ""


def entries(courses: Iterable[Course]) -> tuple[Entry, ...]:
    """Everything, in the order in which it is learned: a chapter's lessons, its quiz, its labs."""
    found: list[Entry] = []
    for course in courses:
        for chapter in course.chapters:
            found += [Entry(chapter, n, lesson) for n, lesson in enumerate(chapter.lessons, 1)]
            if chapter.quiz is not None:
                found.append(Entry(chapter, 1, chapter.quiz))
            found += [Entry(chapter, n, lab) for n, lab in enumerate(chapter.labs, 1)]
    return tuple(found)


def mark_of(entry: Entry, progress: ProgressStore, quizzes: Mapping[str, tuple[int, int]]) -> Mark:
    """How far an entry is; `quizzes` has right answers and questions by entry id."""
    if entry.kind == "lesson":
        lesson: Lesson = entry.item  # type: ignore[assignment] # by its kind
        return Mark(DONE if progress.lesson_read(lesson.id) else NOT_BEGUN, f"{lesson.minutes} min")
    if entry.kind == "quiz":
        if entry.id not in quizzes:
            return Mark(NOT_BEGUN)
        right, questions = quizzes[entry.id]
        return Mark(DONE if right == questions else BEGUN, f"{right}/{questions} right")
    lab: Lab = entry.item  # type: ignore[assignment] # by its kind
    total = sum(task.points for task in lab.spec.tasks)
    known = progress.lab(lab.id)
    symbol = DONE if known.finished else BEGUN if known.best or known.held_tasks else NOT_BEGUN
    return Mark(symbol, f"{known.best}/{total} points, {lab.spec.minutes} min")


def next_up(all_entries: Iterable[Entry], marks: Mapping[str, Mark]) -> Entry | None:
    """The first entry that is not done."""
    return next((entry for entry in all_entries if marks[entry.id].symbol != DONE), None)


def after(all_entries: Iterable[Entry], entry: Entry) -> Entry | None:
    """The entry that follows."""
    found = list(all_entries)
    at = next((n for n, other in enumerate(found) if other.id == entry.id), len(found))
    return found[at + 1] if at + 1 < len(found) else None
