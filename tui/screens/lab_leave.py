"""Leaving a lab: unsaved text is asked about each time, the running lab once a sitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.screens.choice import Choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

    from tui.widgets.editor import Editor


@dataclass(slots=True)
class LeaveMemory:
    """What the learner wants with running labs on leaving: "keep", "stop", or "" while not asked."""

    choice: str = ""


def ask_about_text(app: App[int], editor: Editor, go: Callable[[], None]) -> None:
    """Call `go` once nothing would be lost; Escape stays."""
    if not editor.unsaved:
        go()
        return

    def decided(answer: str | None) -> None:
        if answer == "drop":
            editor.discard()
        elif answer == "draft":
            editor.keep_draft()
        if answer in {"drop", "draft"} or (answer == "save" and editor.save()):
            go()

    answers = (("save", "s", "save it"), ("draft", "d", "keep it as a draft"), ("drop", "x", "give it up"))
    app.push_screen(Choice(f"{editor.name_open} has unsaved text.", answers), decided)


def ask_about_lab(app: App[int], memory: LeaveMemory, go: Callable[[], None]) -> None:
    """Call `go` once it is known whether the lab keeps running; Escape stays."""
    if memory.choice:
        go()
        return

    def decided(answer: str | None) -> None:
        if answer:
            memory.choice = answer
            go()

    answers = (("keep", "k", "keep it running: coming back is instant"), ("stop", "s", "stop it: frees its memory"))
    app.push_screen(Choice("The lab is running. (Asked once; Escape stays here.)", answers), decided)
