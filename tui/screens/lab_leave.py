"""Leaving a lab, and moving it: unsaved text is asked about each time, the running lab once a sitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.screens.choice import Choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

    from labs.session import LabSession
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


PLACES = (
    ("sandbox", "s", "sandbox: network namespaces here, ready in a second"),
    ("kind", "k", "kind: a real cluster in containers; the first takes about a minute"),
    ("kubeconfig", "c", "kubeconfig: a cluster of yours, in namespaces of the lab's own"),
)
"""Backends as questions offer them: name, key, text."""


def ask_about_place(app: App[int], session: LabSession, editor: Editor, move: Callable[[str], None]) -> None:
    """Call `move` with the backend that the lab shall run on; it ends where it runs now. Escape stays."""
    here, there = session.backend.name, session.lab.spec.backends
    answers = tuple(place for place in PLACES if place[0] in there and place[0] != here)
    if not answers:
        app.notify(f"this lab runs on {here} only")
        return

    def decided(answer: str | None) -> None:
        if answer:
            ask_about_text(app, editor, lambda: move(answer))

    question = f"The lab is on {here}. Run it elsewhere? It begins anew there, and ends here; your files stay."
    app.push_screen(Choice(question, answers), decided)
