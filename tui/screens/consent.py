"""The app's way of asking before a lab touches what is not its own on a cluster of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labs.consent import Asking
from tui.screens.choice import Choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import App

    from labs.session import LabSession

_ANSWERS = (("no", "n", "No: leave it as it is"), ("yes", "y", "Yes: go on"))


def let_ask(app: App[Any], session: LabSession) -> None:
    """Let the session's backend ask by a dialog; Escape is a no. It is asked within a worker of the app's."""
    backend = session.backend
    if not isinstance(backend, Asking):
        return

    async def agree(lines: Sequence[str]) -> bool:
        listed = "\n".join(f"- {line}" for line in lines)
        question = f"On your cluster, outside its own namespaces, {session.lab.id} would\n{listed}"
        return await app.push_screen_wait(Choice(question, _ANSWERS)) == "yes"

    backend.agree = agree
