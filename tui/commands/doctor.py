"""`netdojo doctor`: what can run here, and what is missing for the rest."""

from __future__ import annotations

import click

from tui.commands.options import output_option

_COLOURS = {"fine": "green", "less": "yellow", "missing": "red"}


@click.command()
@output_option
def doctor(output: str) -> None:
    """Say what can run here, and what is missing for the rest, with what to do.

    Exit status: 0 when labs can run here (real or simulated), 3 when nothing can.
    """
    from dataclasses import asdict

    from labs.doctor import Finding, examine
    from tui.exits import ExitCode

    examined = examine()
    missing = {each.what for each in examined if each.finding is Finding.MISSING}
    if output == "json":
        import json

        click.echo(json.dumps({"version": 1, "examined": [asdict(each) for each in examined]}, indent=2))
    else:
        for each in examined:
            word = click.style(f"{each.finding:8}", fg=_COLOURS[each.finding], bold=True)
            click.echo(f"{word} {each.what:15} {each.detail}")
            for remedy in each.remedies:
                click.echo(f"{'':25}-> {remedy}")
    raise SystemExit(ExitCode.COULD_NOT_RUN if "folders" in missing else ExitCode.HELD)
