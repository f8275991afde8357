"""`netdojo reach matrix`: all pairs."""

from __future__ import annotations

import click

from tui.commands.options import output_option
from tui.commands.reach.inputs import family_option, input_options, read_world


@click.command()
@input_options
@family_option
@click.option("--from", "sources", multiple=True, help="Only this source; may be repeated.")
@click.option("--to", "targets", metavar="DST[:PORT[/PROTO]]", multiple=True, help="Only this destination.")
@output_option
def matrix(
    *,
    paths: tuple[str, ...],
    namespace: str,
    context: str | None,
    keep_going: bool,
    family: str | None,
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    output: str,
) -> None:
    """Show all pairs: every workload against every port that one declares."""
    from grader.reachability.names import columns, parse_target, resolve
    from tui.output import reach as forms
    from tui.output import terminal_width

    world = read_world(paths, namespace, context, keep_going=keep_going)
    rows = [ref for text in sources for ref in resolve(world, text)] or None
    wanted = [column for text in targets for column in columns(world, parse_target(text))] or None
    owners = {pod.ref: f"{pod.namespace}/{pod.owner}" for pod in world.objects.pods}
    folded = forms.fold(world.matrix(rows, wanted, int(family or world.family)), owners)
    click.echo(forms.matrix_json(folded) if output == "json" else forms.matrix_text(folded, terminal_width()))
