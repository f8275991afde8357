"""`netdojo demo`: a lab from start to grade, by itself: the quickest way to see what netdojo is."""

from __future__ import annotations

import click

from tui.commands.options import done, narrate, output_option, perform
from tui.exits import ExitCode


@click.command()
@output_option
def demo(output: str) -> int:
    """Start a lab, show the matrix, apply the solution, show what changed and why, grade, clean up."""
    import json
    import os
    import tempfile
    import time
    from pathlib import Path

    from grader.errors import InfrastructureError
    from tui import output as forms
    from tui import wiring

    services = wiring.services()
    lab = services.lab("first-policy")
    began = time.monotonic()

    def say(text: str = "") -> None:
        click.echo(text, err=output == "json")

    async def work(folder: Path) -> int:
        session = services.session(lab, name=f"demo-{os.getpid()}", record=False, work=folder)
        progress = narrate()
        try:
            say(f"netdojo demo: {lab.spec.title}\n{lab.spec.summary}\n")
            running = await session.start(progress)
            done()
            say(f"A cluster stands after {time.monotonic() - began:.1f} s ({running.detail or running.backend}).\n")
            before = await session.matrix()
            width, color = forms.terminal_width(), forms.wants_color()
            say("Who reaches whom, before (! differs from what the lab asks for):")
            say(forms.matrix_text(before, width=width, color=color))
            say("\nNow the solution goes in through the Kubernetes API:")
            for manifest in lab.solution:
                say(f"$ kubectl apply -f {manifest.path.name}")
                applied = await session.kubectl("apply", "-f", str(manifest.path))
                if applied.code != 0:
                    raise InfrastructureError(f"kubectl apply failed: {applied.stderr.strip()}")
                say(applied.stdout.rstrip())
            after = await session.matrix()
            say("\nWho reaches whom, after:")
            say(forms.matrix_text(after, width=width, color=color))
            say("\nWhat changed, and why:")
            for line in forms.changes_text(before, after):
                say(line)
            for cell in after:
                if cell.is_open != {c.key: c.is_open for c in before}.get(cell.key):
                    say("\n".join(f"  {line}" for line in await session.explain(cell.key)))
                    break
            report = await session.check()
            say()
            say(forms.report_text(report, width=width, color=color))
            if output == "json":
                click.echo(
                    json.dumps(
                        {
                            "version": 1,
                            "before": json.loads(forms.cells_json(before)),
                            "after": json.loads(forms.cells_json(after)),
                            "report": json.loads(forms.report_json(report)),
                            "seconds": round(time.monotonic() - began, 2),
                        },
                        indent=2,
                    )
                )
            return ExitCode.HELD if report.held else ExitCode.FAILED
        finally:
            done()
            await session.stop()

    with tempfile.TemporaryDirectory(prefix="netdojo-demo-") as folder:
        code = perform(work(Path(folder)))
    say(
        f"\nEverything is cleaned up; {time.monotonic() - began:.1f} s in all. Next: netdojo (the app), or netdojo lab list."
    )
    return code
