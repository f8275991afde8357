"""`netdojo doctor`: what can run here, and what is missing for the rest."""

from __future__ import annotations

import click

from tui.commands.options import output_option

_STYLES = {"fine": "32", "less": "33", "missing": "1;31"}
"""SGR parameters (ECMA-48): green, yellow, bold red."""
_COLUMN = 25
"""Where the findings stand."""


@click.command()
@output_option
def doctor(output: str) -> None:
    """Say what can run here, and what is missing for the rest, with what to do.

    Exit status: 0 when labs can run here (real or simulated), 3 when nothing can.
    """
    from dataclasses import asdict

    from labs.doctor import Finding, examine, examine_kind
    from tui.exits import ExitCode
    from tui.output.terminal import paint, terminal_width, wants_color, wrap

    kind = examine_kind()
    examined = (*examine(), *kind)
    missing = {each.what for each in examined if each.finding is Finding.MISSING}
    if output == "json":
        import json

        click.echo(json.dumps({"version": 1, "examined": [asdict(each) for each in examined]}, indent=2))
    else:
        width, color = terminal_width(), wants_color()
        # Of kind's needs the answer, and what is not as it should be; a lack is in the answer already.
        lack = next((each for each in kind[1:] if each.finding is Finding.MISSING), None)
        quiet = {each.what for each in kind[1:] if each.finding is Finding.FINE or each is lack}
        for each in (each for each in examined if each.what not in quiet):
            first, *more = wrap(each.detail, width, " " * _COLUMN)
            word = paint(f"{each.finding:8}", _STYLES[each.finding], color=color)
            click.echo(f"{word} {each.what:{_COLUMN - 10}} {first.strip()}")
            for remedy in each.remedies:
                more += wrap(remedy, width, f"{'':{_COLUMN}}-> ", " " * (_COLUMN + 3))
            for line in more:
                click.echo(line)
    raise SystemExit(ExitCode.COULD_NOT_RUN if "folders" in missing else ExitCode.HELD)
