"""The question before a lab touches what is not its own on a cluster of the user's."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import click

from tui.commands.options import done

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labs.session import LabSession

yes_option = click.option(
    "--yes",
    "-y",
    is_flag=True,
    help="Agree to what the lab does outside its own namespaces on a cluster of yours (--on kubeconfig).",
)


def let_ask(session: LabSession, *, yes: bool) -> None:
    """Let the session's backend ask on the terminal; `yes` answers beforehand. Without a terminal the answer is no."""
    from labs.consent import Asking

    backend = session.backend
    if not isinstance(backend, Asking):
        return

    async def agree(lines: Sequence[str]) -> bool:
        if yes:
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        done()
        click.echo(f"{session.lab.id} would", err=True)
        for line in lines:
            click.echo(f"  - {line}", err=True)
        return _confirm()

    backend.agree = agree


def _confirm() -> bool:
    """The answer. Ctrl-C is one too: a running event loop would keep the first one to itself."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm("Go on?", err=True)
    finally:
        signal.signal(signal.SIGINT, before)
