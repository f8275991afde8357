"""`netdojo author`: for those who write labs."""

from __future__ import annotations

import click

from tui.commands.options import done, narrate, on_option, output_option, perform
from tui.exits import ExitCode


@click.group()
def author() -> None:
    """Labs and courses: lint, prove, schema."""


@author.command()
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False))
@output_option
def lint(folders: tuple[str, ...], output: str) -> int:
    """Find every defect of labs and courses in FOLDERS (the shipped course when left out), with file and line."""
    import json
    from pathlib import Path

    from content.load import SHIPPED
    from content.validate import lint as examine

    roots = [Path(folder) for folder in folders] or sorted(path for path in SHIPPED.iterdir() if path.is_dir())
    defects = [defect for root in roots for defect in examine(root)]
    if output == "json":
        rows = [
            {"file": str(item.file), "line": item.line, "cause": item.cause, "remedy": item.remedy} for item in defects
        ]
        click.echo(json.dumps({"version": 1, "defects": rows}, indent=2))
    else:
        for defect in defects:
            click.echo(str(defect))
        count = f"{len(defects)} defect{'s' if len(defects) > 1 else ''}" if defects else "no defects"
        click.echo(count, err=True)
    return ExitCode.USAGE if defects else ExitCode.HELD


@author.command()
@click.argument("labs", nargs=-1)
@on_option
@click.option("--dataplane", type=click.Choice(["auto", "nftables", "model"]), default="auto", show_default=True)
@click.option("--rounds", "-n", type=click.IntRange(1, 1000), default=1, show_default=True, help="Prove it N times.")
@output_option
def test(labs: tuple[str, ...], backend: str, dataplane: str, rounds: int, output: str) -> int:
    """Prove LABS: start fails, solution passes, mistakes fail where they say.

    Left out, LABS are all that ship; with --on, those of them that run there, and the others are named as not proven.
    """
    import json
    import os

    from content.load import lab_folders
    from labs.author import prove
    from tui import wiring

    os.environ["NETDOJO_DATAPLANE"] = dataplane
    services = wiring.services(backend)
    claims = []
    elsewhere = []
    progress = narrate()
    for name in labs or lab_folders():
        lab = services.lab(name)
        if not labs and backend != "auto" and backend not in lab.spec.backends:
            elsewhere.append(lab.id)
            click.echo(f"{lab.id}: not proven, it does not run on {backend}", err=True)
            continue
        session = services.trial(lab, f"proof-{os.getpid()}-{lab.id}"[:60].rstrip("-"))
        claims += perform(prove(session, rounds, progress))
    done()
    broken = [claim for claim in claims if not claim.held]
    if output == "json":
        rows = [
            {"lab": c.lab, "answer": c.answer, "round": c.round, "held": c.held, "problems": list(c.problems)}
            for c in claims
        ]
        click.echo(json.dumps({"version": 1, "claims": rows, "not_proven": elsewhere}, indent=2))
    else:
        for claim in claims:
            mark = "held  " if claim.held else "BROKEN"
            click.echo(f"{mark} {claim.lab:20} round {claim.round:<3} {claim.answer}")
            for problem in claim.problems:
                click.echo(f"         {problem}")
        click.echo(f"{len(claims) - len(broken)} of {len(claims)} claims held", err=True)
    if not claims:
        return ExitCode.COULD_NOT_RUN
    return ExitCode.FAILED if broken else ExitCode.HELD


@author.command()
@click.argument("kind", type=click.Choice(["lab", "chapter", "course", "lesson", "quiz"]))
def schema(kind: str) -> None:
    """Print the JSON schema of a file, for editors."""
    import json

    from content.schema import schema as make

    click.echo(json.dumps(make(kind), indent=2))
