"""`netdojo lab`: a lab's whole life from the command line; the app does nothing that is not here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tui.commands.consent import let_ask, yes_option
from tui.commands.options import done, narrate, on_option, output_option, perform, report_option
from tui.commands.prepare import prepare
from tui.exits import ExitCode

if TYPE_CHECKING:
    from labs.base import Running
    from labs.session import LabSession


@click.group()
def lab() -> None:
    """Start, check, reset, stop labs, take hints, see why.

    LAB is a lab's id (netdojo lab list) or the folder of one. Where one lab is running, it may be left out.
    """


lab.add_command(prepare)
lab_argument = click.argument("name", metavar="[LAB]", required=False, default="")


@lab.command("list")
@output_option
def list_(output: str) -> None:
    """List every lab, with progress and whether it is running."""
    import json

    from labs.base import Phase
    from tui import wiring

    services = wiring.services()
    rows: list[dict[str, Any]] = []
    for course in services.courses():
        for chapter in course.chapters:
            for item in chapter.labs:
                known = services.progress.lab(item.id)
                rows.append(
                    {
                        "id": item.id,
                        "chapter": chapter.number,
                        "title": item.spec.title,
                        "summary": item.spec.summary,
                        "minutes": item.spec.minutes,
                        "backends": list(item.spec.backends),
                        "phase": str(perform(services.session(item).status()).phase),
                        "best": known.best,
                        "points": sum(task.points for task in item.spec.tasks),
                        "finished": known.finished > 0,
                    }
                )
    if output == "json":
        click.echo(json.dumps({"version": 1, "labs": rows}, indent=2))
        return
    for row in rows:
        mark = "x" if row["finished"] else " "
        running = "  * running" if row["phase"] == Phase.READY else ""
        score = f"{row['best']}/{row['points']}"
        click.echo(
            f"[{mark}] {row['chapter']}  {row['id']:18} {score:>6}  {row['title']} ({row['minutes']} min){running}"
        )


@lab.command()
@lab_argument
@on_option
@yes_option
@output_option
def start(name: str, backend: str, yes: bool, output: str) -> None:
    """Start a lab, or find it running."""
    progress = narrate()
    progress(f"reading {name}")  # before what takes its time to be imported
    try:
        session = _session(name, backend, running=False)
        let_ask(session, yes=yes)
        running = perform(session.start(progress))
    finally:
        done()
    if output == "json":
        _print_running(running)
        return
    spec = session.lab.spec
    click.echo(f"{spec.title}: ready on {running.backend}{f' ({running.detail})' if running.detail else ''}\n")
    click.echo(session.lab.instructions.strip())
    click.echo("\nTasks")
    for task in spec.tasks:
        click.echo(f"  {task.id} ({task.points} points): {task.title}")
    click.echo(f"\nYour files:  {session.work}")
    click.echo(f"A shell:     netdojo lab shell {session.lab.id}")
    click.echo(f'Your own:    eval "$(netdojo lab env {session.lab.id})"')
    click.echo(f"Graded by:   netdojo lab check {session.lab.id}")


def _print_running(running: Running) -> None:
    import json

    click.echo(
        json.dumps(
            {
                "version": 1,
                "name": running.name,
                "backend": running.backend,
                "phase": str(running.phase),
                "kubeconfig": str(running.kubeconfig) if running.kubeconfig else None,
                "detail": running.detail,
            },
            indent=2,
        )
    )


@lab.command()
@lab_argument
@on_option
@output_option
def status(name: str, backend: str, output: str) -> None:
    """Say what is there: absent, starting, ready or broken."""
    kept = _kept()
    if output == "text" and not name and not _running_labs() and kept:
        click.echo("\n".join(["no lab is running", *kept]))
        return
    running = perform(_session(name, backend).status())
    if output == "json":
        _print_running(running)
    else:
        click.echo(
            f"{running.name}: {running.phase} on {running.backend}{f' ({running.detail})' if running.detail else ''}"
        )
        for line in kept:
            click.echo(line)


def _kept() -> list[str]:
    """A line for each kind cluster that runs for nobody."""
    from labs.kind import state

    return [f"kept for the next lab: {each.name} ({each.about}) on kind" for each in state.kept()]


@lab.command()
@lab_argument
@on_option
@report_option
def check(name: str, backend: str, output: str) -> int:
    """Grade the lab by its traffic, now."""
    from tui import output as forms

    session = _session(name, backend)
    report = perform(session.grade())
    if output == "json":
        click.echo(forms.report_json(report))
    elif output == "junit":
        click.echo(forms.report_junit(report))
    else:
        click.echo(forms.report_text(report, width=forms.terminal_width(), color=forms.wants_color()))
    session.record(report)  # after it was shown: a full disk does not cost the report
    return ExitCode.HELD if report.held else ExitCode.FAILED


@lab.command()
@lab_argument
@on_option
@output_option
def matrix(name: str, backend: str, output: str) -> None:
    """Show who reaches whom, expected against actual."""
    from tui import output as forms

    cells = perform(_session(name, backend).matrix())
    if output == "json":
        click.echo(forms.cells_json(cells))
    else:
        click.echo(forms.matrix_text(cells, width=forms.terminal_width(), color=forms.wants_color()))


@lab.command()
@lab_argument
@click.argument("task", required=False, default="")
@on_option
def hint(name: str, task: str, backend: str) -> None:
    """Show the next hint of TASK (or of the first task with one left); it may cost points."""
    from tui.output.terminal import terminal_width, wrap

    session = _session(name, backend)
    tasks = [task] if task else [item.id for item in session.lab.spec.tasks]
    for candidate in tasks:
        if taken := session.take_hint(candidate):
            cost = f" (costs {taken.cost})" if taken.cost else ""
            click.echo("\n".join(wrap(f"{candidate}{cost}: {taken.text}", terminal_width(), "")))
            return
    click.echo("There are no more hints. netdojo lab solution shows the whole answer.", err=True)


@lab.command()
@lab_argument
@on_option
@click.option("--apply", "applied", is_flag=True, help="Apply it to the running lab too.")
def solution(name: str, backend: str, applied: bool) -> None:
    """Print the lab's solution."""
    from labs.fitting import fit
    from labs.session import in_namespace, objects_of

    session = _session(name, backend)
    for manifest in session.lab.solution:
        click.echo(f"# {manifest.path.name}\n{manifest.text.strip()}\n---")
    if applied:

        async def work() -> None:
            cluster = await session.cluster()
            fitting = fit(objects_of(session.lab.solution), await cluster.snapshot())
            await cluster.apply(in_namespace(fitting, session.lab.spec.namespace))

        perform(work())


@lab.command()
@click.argument("arguments", metavar="[LAB] ARROW", nargs=-1, required=True)
@on_option
@output_option
def explain(arguments: tuple[str, ...], backend: str, output: str) -> None:
    """Say why a flow is open or closed; ARROW is such as 'customer -> database:2379'."""
    import json

    from content.errors import UsageError
    from tui import output as forms

    *names, arrow = arguments
    if len(names) > 1:
        raise UsageError("give a lab and one arrow", remedy="quote it: netdojo lab explain LAB 'a -> b:80'")
    session = _session(names[0] if names else "", backend)
    lines = perform(session.explain_arrow(arrow))
    if output == "json":
        click.echo(json.dumps({"version": 1, "arrow": arrow, "lines": lines}, indent=2))
    else:
        click.echo(forms.sentences(lines, forms.terminal_width()))


@lab.command()
@lab_argument
@on_option
def shell(name: str, backend: str) -> int:
    """Open a shell in which kubectl talks to the lab."""
    import os
    import subprocess

    session = _session(name, backend)
    perform(session.cluster())
    program = os.environ.get("SHELL") or "/bin/sh"
    click.echo(f"kubectl talks to {session.lab.id}; leave with exit or Ctrl-D", err=True)
    return subprocess.call([program], env={**os.environ, **session.environment()}, cwd=session.work)


@lab.command()
@lab_argument
@on_option
def env(name: str, backend: str) -> None:
    """Print the variables that point a shell at the lab: eval "$(netdojo lab env LAB)"."""
    import shlex

    for variable, value in _session(name, backend).environment().items():
        click.echo(f"export {variable}={shlex.quote(value)}")


@lab.command()
@lab_argument
@on_option
@yes_option
def reset(name: str, backend: str, yes: bool) -> None:
    """Back to the untouched start; your files stay."""
    session = _session(name, backend)
    let_ask(session, yes=yes)

    async def work() -> None:
        progress = narrate()
        try:
            await session.reset(progress)
        finally:
            done()

    perform(work())
    click.echo(f"{session.lab.id} is as it was at the start; your files are still in {session.work}")


@lab.command()
@lab_argument
@on_option
@click.option("--all", "everything", is_flag=True, help="Stop every lab; with --delete, remove kept clusters too.")
@click.option("--delete", is_flag=True, help="Remove a kind cluster, too, instead of keeping it for the next lab.")
def stop(name: str, backend: str, everything: bool, delete: bool) -> None:
    """Remove a lab's cluster; your files and progress stay.

    A kind cluster is cleaned and kept for the next lab, which then starts in seconds.
    """
    wanted = [(item, place) for item, place in _running_labs() if backend in {"auto", place}]
    for item, place in wanted if everything else [(name, backend)]:
        session = _session(item, place)
        perform(session.stop(delete=delete))
        click.echo(f"{session.lab.id} stopped; your files are still in {session.work}")
    if everything and delete and backend in {"auto", "kind"}:
        _end_kept()


def _end_kept() -> None:
    """Remove kind clusters that run for nobody; without any, kind's parts are not even loaded."""
    from labs.kind import state

    if state.kept():
        from labs.kind.backend import KindBackend

        for cluster in perform(KindBackend().end_kept(lambda _: None)):
            click.echo(f"{cluster} removed")


def _running_labs() -> list[tuple[str, str]]:
    """Labs that stand, each with its backend."""
    from content.load import lab_folders
    from labs import places
    from labs.store import started_from

    known = lab_folders()
    return [(name, on) for name, on in places.clusters() if name in known or started_from(name) is not None]


def _session(name: str, backend: str, *, running: bool = True) -> LabSession:
    """The session of a lab; without a name that of the only one that is running.

    Raises:
        UsageError: no name, and none or several are running.
    """
    from content.errors import UsageError
    from tui import wiring

    services = wiring.services(backend)
    if not name:
        found = sorted({lab for lab, on in _running_labs() if backend in {"auto", on}}) if running else []
        if len(found) != 1:
            state = f"several are running: {', '.join(found)}" if found else "none is running"
            raise UsageError(f"which lab? {state}", remedy="name one; netdojo lab list shows them all")
        name = found[0]
    return services.session(services.lab(name))
