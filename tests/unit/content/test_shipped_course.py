from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from content.load import SHIPPED, shipped_courses
from content.validate import lint
from content.yamlio import read_documents
from grader.kube.parse import read_objects

if TYPE_CHECKING:
    from content.model import Chapter, Lab

CHAPTERS = [chapter for course in shipped_courses() for chapter in course.chapters]
LABS = [lab for chapter in CHAPTERS for lab in chapter.labs]


def test_nothing_is_wrong_with_it() -> None:
    assert [str(defect) for file in SHIPPED.glob("*/course.yaml") for defect in lint(file.parent)] == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.id)
def test_a_chapter_has_lessons_a_quiz_and_labs(chapter: Chapter) -> None:
    assert all(5 <= lesson.minutes <= 10 for lesson in chapter.lessons)
    assert chapter.quiz is not None
    assert len(chapter.quiz.questions) >= 8
    assert chapter.labs


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.id)
def test_a_lab_is_what_the_course_promises(lab: Lab) -> None:
    assert 5 <= lab.spec.minutes <= 30
    assert all(task.hints and task.text for task in lab.spec.tasks)
    assert "kind" in lab.spec.backends
    assert ("sandbox" in lab.spec.backends) is ("ebpf" not in lab.spec.needs)
    assert all(len(line) <= 80 for line in lab.instructions.splitlines())


def test_reading_speed_is_believable() -> None:
    for chapter in CHAPTERS:
        for lesson in chapter.lessons:
            assert 60 <= len(lesson.text.split()) / lesson.minutes <= 160, lesson.path


LISTINGS = [
    pytest.param(listing, id=f"{lesson.id}-{index}")
    for chapter in CHAPTERS
    for lesson in chapter.lessons
    for index, listing in enumerate(re.findall(r"^```yaml\n(.*?)^```", lesson.text, re.DOTALL | re.MULTILINE))
]


@pytest.mark.parametrize("listing", LISTINGS)
def test_what_a_lesson_shows_is_what_kubernetes_reads(listing: str) -> None:
    values = [document.value for document in read_documents(listing)]
    policies = [value for value in values if str(value.get("kind")).endswith("Policy")]
    assert len(read_objects(policies).policies) == len(policies)
