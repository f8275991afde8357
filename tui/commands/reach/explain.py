"""`netdojo reach explain`: why a flow passes or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tui.commands.options import output_option
from tui.commands.reach.inputs import family_option, input_options, read_world

if TYPE_CHECKING:
    from grader.reachability.verdict import Explanation, Flow
    from grader.reachability.world import World


@click.command()
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST[:PORT[/PROTO]]")
@input_options
@family_option
@click.option("--edits", type=click.IntRange(0, 20), default=3, show_default=True, help="Most edits to offer.")
@output_option
def explain(
    *,
    source: str,
    destination: str,
    paths: tuple[str, ...],
    namespace: str,
    context: str | None,
    keep_going: bool,
    family: str | None,
    edits: int,
    output: str,
) -> None:
    """Say why SRC reaches DST or not: the way, the deciding policy and rule, and what came close.

    Then come the smallest edits that would turn the verdict. Each was evaluated; what else it would turn is said.
    """
    from grader.edits.search import smallest_edits
    from tui.output import explanations as forms
    from tui.output import terminal_width

    world = read_world(paths, namespace, context, keep_going=keep_going)
    explanations = [world.explain(flow) for flow in _flows(world, source, destination, family)]
    # Flows that the same things decide have the same edits, so that only the first of them is asked.
    distinct = _distinct(explanations)
    offered = [smallest_edits(world, group[0].verdict.flow, edits) if edits else () for group in distinct]
    if output == "json":
        by_flow = {
            each.verdict.flow: found for group, found in zip(distinct, offered, strict=True) for each in group[:1]
        }
        click.echo(forms.explanations_json([(each, by_flow.get(each.verdict.flow, ())) for each in explanations]))
        return
    shown = [(group[0], len(group), found) for group, found in zip(distinct, offered, strict=True)]
    click.echo(forms.explanations_text(shown, terminal_width()))


def _flows(world: World, source: str, destination: str, family: str | None) -> list[Flow]:
    from grader.reachability.names import columns, parse_target, resolve
    from grader.reachability.verdict import Flow

    sources = resolve(world, source)
    wanted = columns(world, parse_target(destination))
    ends = (*sources, *(column.destination for column in wanted))
    number = (
        int(family)
        if family
        else 6
        if any(":" in end.removeprefix("ip:") for end in ends if end.startswith("ip:"))
        else world.family
    )
    flows = [
        Flow(ref, column.destination, column.port, column.protocol, number)
        for column in wanted
        for ref in sources
        if ref != column.destination or len(sources) == 1
    ]
    return flows or [Flow(sources[0], column.destination, column.port, column.protocol, number) for column in wanted]


def _distinct(explanations: list[Explanation]) -> list[list[Explanation]]:
    """Explanations of flows that the same things decide, together."""
    groups: dict[tuple[object, ...], list[Explanation]] = {}
    for each in explanations:
        flow, verdict = each.verdict.flow, each.verdict
        decided = (
            verdict.action,
            verdict.egress.policy,
            verdict.egress.rule,
            verdict.ingress.policy,
            verdict.ingress.rule,
        )
        groups.setdefault((flow.port, flow.protocol, *decided), []).append(each)
    return list(groups.values())
