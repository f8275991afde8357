from __future__ import annotations

from typing import Any

from labs.progress import LabProgress
from tui.course_map import after, entries, mark_of, next_up


def test_everything_stands_in_the_order_in_which_it_is_learned(services: Any) -> None:
    found = entries(services.courses())
    assert [(entry.kind, entry.place, entry.title) for entry in found] == [
        ("lesson", "3.1", "How a packet is judged"),
        ("lesson", "3.2", "Selectors"),
        ("quiz", "3.1", "Quiz: Network policy"),
        ("lab", "3.1", "Default deny"),
    ]
    assert len({entry.id for entry in found}) == len(found)
    assert after(found, found[0]) is found[1]
    assert after(found, found[-1]) is None


def test_marks_follow_progress(services: Any) -> None:
    found = entries(services.courses())
    progress, quizzes = services.progress, {}

    def marks() -> list[str]:
        return [mark_of(entry, progress, quizzes).symbol for entry in found]

    assert marks() == ["○", "○", "○", "○"]
    progress.read.add("judged")
    quizzes[found[2].id] = (1, 2)
    progress.labs["default-deny"] = LabProgress("default-deny", best=6, points=20)
    assert marks() == ["✓", "○", "◐", "◐"]
    quizzes[found[2].id] = (2, 2)
    progress.labs["default-deny"] = LabProgress("default-deny", best=18, points=20, finished=1.0)
    assert marks() == ["✓", "○", "✓", "✓"]
    assert mark_of(found[3], progress, quizzes).note == "18/20 points, 15 min"
    by_id = {entry.id: mark_of(entry, progress, quizzes) for entry in found}
    assert next_up(found, by_id) is found[1]
