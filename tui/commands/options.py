"""What commands share: options, progress on standard error, running a coroutine to its end."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., Any]")

output_option = click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the data on standard output.",
)


def output_as(*forms: str) -> Callable[[F], F]:
    """The option `--output` for a command that has these forms, the first of them by default."""
    return click.option(
        "--output",
        "-o",
        type=click.Choice(forms),
        default=forms[0],
        show_default=True,
        help="Form of the data on standard output.",
    )


report_option = click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
    help="Form of the report on standard output.",
)
on_option = click.option(
    "--on",
    "backend",
    type=click.Choice(["auto", "sandbox", "kind", "kubeconfig"]),
    default="auto",
    show_default=True,
    help="Where the lab runs.",
)


_OVER = re.compile(r": \d+(\.\d+)? s$")


def perform(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; Ctrl-C and SIGTERM cancel it, its clean-up runs, and only then the interruption shows."""
    import asyncio
    import threading

    previous = None
    if threading.current_thread() is threading.main_thread():
        previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return asyncio.run(work)
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _interrupt(_signal: int, _frame: object) -> None:
    signal.raise_signal(signal.SIGINT)


def narrate() -> Callable[[str], None]:
    """A progress function: phases on standard error, on one line that rewrites itself in a terminal.

    A phase that is over and tells its seconds ("installing Calico: 12.3 s") stays.
    """
    if not sys.stderr.isatty():
        return lambda phase: click.echo(phase, err=True)

    def rewrite(phase: str) -> None:
        click.echo(f"\r\x1b[K{phase}", nl=not phase or bool(_OVER.search(phase)), err=True)

    return rewrite


def warn(text: str) -> None:
    """Say on standard error what does not stop the command, but must be known."""
    click.echo(f"note: {text}", err=True)


def done() -> None:
    """Clear the progress line."""
    if sys.stderr.isatty():
        with contextlib.suppress(OSError):
            click.echo("\r\x1b[K", nl=False, err=True)
