"""`netdojo reach matrix`: all pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tui.commands.options import output_as
from tui.commands.reach.inputs import family_option, input_options, read_world

if TYPE_CHECKING:
    from grader.reachability.entries import Entry
    from grader.reachability.folding import Folded
    from grader.reachability.matrix import Matrix
    from grader.reachability.world import World

FEW_WORKLOADS = 16
"""Up to so many, each has a row of its own in text; of more, those that are treated alike share one."""


@click.command()
@input_options
@family_option
@click.option("--from", "sources", multiple=True, help="Only this source; may be repeated.")
@click.option("--to", "targets", metavar="DST[:PORT[/PROTO]]", multiple=True, help="Only this destination.")
@click.option(
    "--services",
    is_flag=True,
    help="Services, node ports, outside addresses and requests: instead of pods' ports, in JSON beside them.",
)
@click.option("--expand", is_flag=True, help="Every pod in a row of its own; in JSON and CSV, every cell.")
@output_as("text", "json", "csv", "markdown", "dot", "svg")
def matrix(
    *,
    paths: tuple[str, ...],
    namespace: str,
    context: str | None,
    keep_going: bool,
    family: str | None,
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    services: bool,
    expand: bool,
    output: str,
) -> None:
    """Show all pairs: every workload against every port that one declares.

    JSON has every port and every endpoint, outside addresses too, folded into classes of endpoints that are treated
    alike, with --services also who gets to these. With --from or --to it has workloads and what was asked for.
    """
    from content.collector import uncollected

    with uncollected():
        world = read_world(paths, namespace, context, keep_going=keep_going)
        number = int(family or world.family)
        if output == "json" and not (sources or targets or expand):
            click.echo(_classes(world, number, services=services))
            return
        if services:
            targets += _services(world)
            sources = sources or ("outside", *sorted(set(_owners(world).values())))
        found = _selected(world, sources, targets, number)
        if expand and output in ("json", "csv"):
            _write_cells(found, output)
        else:
            click.echo(_table(world, found, output, expand=expand, whole=not (sources or targets)))


def _services(world: World) -> tuple[str, ...]:
    from dataclasses import replace

    from content.errors import UsageError
    from grader.reachability.entries import entries

    # One that is limited to the client's node is one column: each source is asked where it runs.
    asked = dict.fromkeys(replace(entry, clients_on="") for entry in entries(world).values())
    if not asked:
        raise UsageError("there is no Service, no Ingress and no route", remedy="leave --services out")
    return tuple(
        each.name if each.kind == "request" else f"{bracketed(each.name)}:{each.port}/{each.protocol}" for each in asked
    )


def bracketed(name: str) -> str:
    """An IPv6 address as it stands before a port."""
    return f"ip:[{name[3:]}]" if name.startswith("ip:") and ":" in name[3:] else name


def _classes(world: World, family: int, *, services: bool) -> str:
    from grader.reachability.folding import fold
    from tui.output.classes import classes_json

    nodes: dict[str, list[str]] = {}
    for pod in world.objects.pods:
        if pod.node and not pod.finished:
            nodes.setdefault(pod.node, []).append(pod.ref)
    folded = fold(world.reach(family))
    return classes_json(folded, _owners(world), nodes, _entries(world, folded) if services else {})


def _entries(world: World, folded: Folded) -> dict[Entry, int]:
    """Services and the like with the classes that get in, one endpoint being asked for each class."""
    from ipaddress import ip_network

    from grader.reachability.entry_changes import rows_of

    if not (world.objects.services or world.objects.ingresses or world.objects.routes):
        return {}
    asked = [
        (
            each.members[0] if "/" not in first or first in world.endpoints.pods else f"ip:{ip_network(first)[0]}",
            each.members,
        )
        for each in folded.classes
        for first in each.members[:1]
    ]
    return rows_of(world, asked, folded.family)


def _owners(world: World) -> dict[str, str]:
    return {pod.ref: f"{pod.namespace}/{pod.owner}" for pod in world.objects.pods}


def _selected(world: World, sources: tuple[str, ...], targets: tuple[str, ...], family: int) -> Matrix:
    from grader.reachability.names import columns, parse_target, resolve

    rows = [ref for text in sources for ref in resolve(world, text)] or None
    wanted = [column for text in targets for column in columns(world, parse_target(text))] or None
    return world.matrix(rows, wanted, family)


def _write_cells(found: Matrix, output: str) -> None:
    import sys

    from tui.output.cells import write_csv, write_json

    if output == "json":
        write_json(found, sys.stdout)
    else:
        write_csv(found, sys.stdout)


def _table(world: World, found: Matrix, output: str, *, expand: bool, whole: bool) -> str:
    from tui.output import graph, terminal_width, wants_color
    from tui.output import reach as forms

    owners = {} if expand else _owners(world)
    shared: dict[str, list[str]] = {}
    if whole and not expand and output == "text" and len(set(owners.values())) > FEW_WORKLOADS:
        owners, shared = _alike(world, owners, found.family)
    folded = forms.fold(found, owners)
    match output:
        case "json":
            return forms.matrix_json(folded)
        case "csv":
            return forms.matrix_csv(folded)
        case "markdown":
            return forms.matrix_markdown(folded)
        case "dot":
            return graph.matrix_dot(folded)
        case "svg":
            return graph.matrix_svg(folded)
        case _:
            return forms.matrix_text(folded, terminal_width(), shared, color=wants_color())


def _alike(world: World, owners: dict[str, str], family: int) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Workloads that no verdict tells apart under one name; and of each such name, all of them."""
    from grader.reachability.folding import fold

    places: dict[str, set[int]] = {}
    for place, each in enumerate(fold(world.reach(family)).classes):
        for ref in each.members:
            if ref in owners:
                places.setdefault(owners[ref], set()).add(place)
    alike: dict[tuple[int, ...], list[str]] = {}
    for workload in sorted(places):
        alike.setdefault(tuple(sorted(places[workload])), []).append(workload)
    names = {
        workload: listed[0] if len(listed) == 1 else f"{listed[0]} +{len(listed) - 1}"
        for listed in alike.values()
        for workload in listed
    }
    shared = {names[listed[0]]: listed for listed in alike.values() if len(listed) > 1}
    return {ref: names.get(workload, workload) for ref, workload in owners.items()}, shared
