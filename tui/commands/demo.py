"""`netdojo demo`: a lab from start to grade, by itself: the quickest way to see what netdojo is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tui.commands.options import done, narrate, on_option, output_option, perform
from tui.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from grader.report import Cell
    from labs.session import LabSession

LAB = "first-policy"


@click.command()
@on_option
@output_option
def demo(backend: str, output: str) -> int:
    """Start a lab, show the matrix, apply the solution, show what changed and why, grade, clean up."""
    import json
    import os
    import time

    from tui import wiring

    services = wiring.services(backend)
    began = time.monotonic()

    def say(text: str = "") -> None:
        click.echo(text, err=output == "json")

    data = perform(_show(services.trial(services.lab(LAB), f"demo-{os.getpid()}"), say))
    seconds = round(time.monotonic() - began, 1)
    say(f"\nEverything is cleaned up; {seconds} s in all.\nNext: netdojo (the app), or netdojo lab list.")
    if output == "json":
        click.echo(json.dumps({"version": 1, **data, "seconds": seconds}, indent=2))
    return ExitCode.HELD if data["report"]["held"] else ExitCode.FAILED


async def _show(session: LabSession, say: Callable[[str], None]) -> dict[str, Any]:
    """The whole of it; what it made is gone afterwards, however it ends."""
    import json

    from tui import output as forms

    spec = session.lab.spec
    width, color = forms.terminal_width(), forms.wants_color()
    say(f"netdojo demo: {spec.title}\n{spec.summary}\n")
    try:
        running = await session.start(narrate())
        done()
        say(f"A cluster stands on {running.backend}{f' ({running.detail})' if running.detail else ''}.\n")
        before = await session.matrix()
        say("Who reaches whom, before (! differs from what the lab asks for):")
        say(forms.matrix_text(before, width=width, color=color))
        say("\nNow the solution goes in through the Kubernetes API:")
        await _apply_solution(session, say)
        after = await session.matrix()
        say("\nWho reaches whom, after:")
        say(forms.matrix_text(after, width=width, color=color))
        say("\nWhat changed, and why:")
        await _show_changes(session, before, after, say)
        report = await session.check()
        say("\n" + forms.report_text(report, width=width, color=color))
    finally:
        done()
        await session.stop()
    return {
        "before": json.loads(forms.cells_json(before)),
        "after": json.loads(forms.cells_json(after)),
        "report": json.loads(forms.report_json(report)),
    }


async def _apply_solution(session: LabSession, say: Callable[[str], None]) -> None:
    from grader.errors import InfrastructureError

    for manifest in session.lab.solution:
        path: Path = manifest.path
        say(f"$ kubectl apply -f {path.name}")
        applied = await session.kubectl("apply", "-f", str(path))
        if applied.code != 0:
            raise InfrastructureError(f"kubectl apply failed: {applied.stderr.strip()}")
        say(applied.stdout.rstrip())


async def _show_changes(
    session: LabSession, before: tuple[Cell, ...], after: tuple[Cell, ...], say: Callable[[str], None]
) -> None:
    """Every changed cell, and the explanation of the first that closed and of the first that stayed open."""
    from tui import output as forms

    for line in forms.changes_text(before, after):
        say(line)
    was = {cell.key: cell.is_open for cell in before}
    closed = [cell.key for cell in after if was.get(cell.key) and cell.is_open is False]
    still = [cell.key for cell in after if was.get(cell.key) and cell.is_open and closed]
    same = [key for key in still if closed and (key.destination, key.port) == (closed[0].destination, closed[0].port)]
    for key in (*closed[:1], *same[:1]):
        say("")
        say(forms.sentences(await session.explain(key), forms.terminal_width()))
