"""`netdojo reach explain`: why a flow passes or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    output: str,
) -> None:
    """Say why SRC reaches DST or not: the way, the deciding policy and rule, and what came close."""
    import json

    from tui.output.terminal import clean, default_symbols, terminal_width, wrap

    symbols, width = default_symbols(), terminal_width()
    world = read_world(paths, namespace, context, keep_going=keep_going)
    explanations = [world.explain(flow) for flow in _flows(world, source, destination, family)]
    if output == "json":
        click.echo(json.dumps({"version": 1, "flows": [_explanation(each) for each in explanations]}, indent=2))
        return
    for number, (explanation, count) in enumerate(_distinct(explanations)):
        head, *rest = (clean(line, symbols) for line in explanation.lines())
        more = f"  (and {count - 1} more alike)" if count > 1 else ""
        lines = [f"{head}{more}"]
        for line in rest:
            indent = " " * (2 + len(line) - len(line.lstrip()))
            lines += wrap(line.strip(), width, indent, f"{indent}    ")
        click.echo(("\n" if number else "") + "\n".join(lines))


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


def _distinct(explanations: list[Explanation]) -> list[tuple[Explanation, int]]:
    """One explanation for flows that the same things decide."""
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
    return [(group[0], len(group)) for group in groups.values()]


def _explanation(explanation: Explanation) -> dict[str, Any]:
    from dataclasses import asdict

    verdict = explanation.verdict
    return {
        **asdict(verdict.flow),
        "action": str(verdict.action),
        "allowed": verdict.allowed,
        "egress": asdict(verdict.egress),
        "ingress": asdict(verdict.ingress),
        "near_misses": [asdict(miss) for miss in explanation.near_misses],
        "lines": list(explanation.lines()),
    }
