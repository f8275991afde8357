"""`netdojo` without a command: the app, where there is a terminal for it."""

from __future__ import annotations


def open_app() -> int:
    """Open the app and return its exit status.

    Raises:
        UsageError: there is no terminal to draw on; says which commands do the same.
    """
    from content.errors import UsageError
    from tui import wiring
    from tui.app import can_run, run_app

    if reason := can_run():
        raise UsageError(
            f"the app cannot open: {reason}",
            remedy="every part of it is a command too: netdojo course list, netdojo lab list, netdojo demo",
        )
    return run_app(wiring.services())
