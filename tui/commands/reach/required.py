"""`netdojo reach synthesize` and `privilege`: from required traffic to policies, and the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tui.commands.options import output_as
from tui.commands.reach.inputs import family_option, input_options, read_world
from tui.exits import ExitCode

if TYPE_CHECKING:
    from grader.kube.model import Network
    from grader.reachability.diff import Difference
    from grader.reachability.world import World
    from grader.synthesize.flows import Required

leave_option = click.option(
    "--leave", "left", metavar="NAMESPACE", multiple=True, help="Isolate no pod of this namespace; may be repeated."
)


@click.command()
@click.argument("flows", metavar="FLOWS")
@input_options
@leave_option
@click.option("--with-dns", is_flag=True, help="Every pod that sends may also ask the cluster's DNS.")
@click.option(
    "--pod-range", "ranges", metavar="CIDR", multiple=True, help="Pods have their addresses here; may be repeated."
)
@family_option
@output_as("yaml", "json")
def synthesize(
    *,
    flows: str,
    paths: tuple[str, ...],
    namespace: str,
    context: str | None,
    keep_going: bool,
    left: tuple[str, ...],
    with_dns: bool,
    ranges: tuple[str, ...],
    family: str | None,
    output: str,
) -> int:
    """Print the tightest NetworkPolicies for required traffic. They are evaluated before they are printed.

    FLOWS is a file (or -) with one arrow a line:

    \b
      front.shop -> database.shop:5432     # comments are passed over
      192.0.2.0/24 -> front.shop:8080
      front.shop -> kube-system/coredns:53/udp

    PATH has the workloads; policies in it do not matter. What no arrow names is closed, both ways.
    """  # noqa: D301 - click takes \b for "do not wrap", as a character
    import json

    from grader.kube.dump import dump_policy
    from grader.synthesize.policies import synthesize as policies_for
    from grader.synthesize.policies import verify

    world = read_world(paths, namespace, context, keep_going=keep_going)
    required = _flows(flows, world)
    if with_dns:
        required = (*required, *_lookups(world, required))
    apart = [_range(text) for text in ranges]
    policies = policies_for(world, required, left, apart)
    manifests = [dump_policy(policy) for policy in policies]
    if output == "json":
        click.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}, indent=2))
    else:
        import yaml

        click.echo(yaml.safe_dump_all(manifests, sort_keys=False), nl=False)
    found = verify(world, required, policies, left, apart, int(family) if family else None)
    if not found.changes:
        click.echo(f"{len(policies)} policies: exactly the required traffic passes", err=True)
        return ExitCode.HELD
    _differing(found, world)
    return ExitCode.FAILED


@click.command()
@input_options
@click.option("--required", "flows", metavar="FLOWS", required=True, help="What must pass, as for `reach synthesize`.")
@leave_option
@click.option(
    "--most", type=click.IntRange(min=0), default=None, help="Exit with 1 when more pairs than this are open."
)
@family_option
@output_as("text", "json", "markdown")
def privilege(
    *,
    paths: tuple[str, ...],
    flows: str,
    namespace: str,
    context: str | None,
    keep_going: bool,
    left: tuple[str, ...],
    most: int | None,
    family: str | None,
    output: str,
) -> int:
    """Show how much more than the required traffic the policies let pass, and what of it they do not.

    Exit status 1 when required traffic does not pass, or with --most when too much else does.
    """
    from grader.synthesize.privilege import privilege as privilege_of
    from tui.output import privileges as forms
    from tui.output import terminal_width, wants_color

    world = read_world(paths, namespace, context, keep_going=keep_going)
    found = privilege_of(world, _flows(flows, world), left, int(family) if family else None)
    owners = {pod.ref: f"{pod.namespace}/{pod.owner}" for pod in world.objects.pods}
    if output == "json":
        click.echo(forms.privilege_json(found))
    elif output == "markdown":
        click.echo(forms.privilege_markdown(found, owners))
    else:
        click.echo(forms.privilege_text(found, owners, terminal_width(), color=wants_color()))
    failing = found.missing.pairs or (most is not None and found.excess.pairs > most)
    return ExitCode.FAILED if failing else ExitCode.HELD


def _flows(name: str, world: World) -> tuple[Required, ...]:
    import sys
    from pathlib import Path

    from content.errors import UsageError
    from content.yamlio import read_text
    from grader.synthesize.flows import read_flows

    path = Path(name)
    if name == "-":
        return read_flows(sys.stdin.read(), world, path)
    if not path.is_file():
        raise UsageError(f"{name} is not there", remedy="name a file with one arrow a line: front.shop -> api.shop:80")
    return read_flows(read_text(path), world, path)


def _range(text: str) -> Network:
    from ipaddress import ip_network

    from content.errors import UsageError

    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise UsageError(f"{text} is no range of addresses", remedy="write it as in 10.244.0.0/16") from error


def _lookups(world: World, flows: tuple[Required, ...]) -> tuple[Required, ...]:
    """Flows of every sender to the DNS pods."""
    from content.errors import UsageError
    from grader.lint.traffic import DNS_LABEL
    from grader.synthesize.flows import Required

    servers = tuple(
        ref
        for ref, pod in world.endpoints.pods.items()
        if pod.selectable and pod.labels.get(DNS_LABEL[0]) == DNS_LABEL[1]
    )
    if not servers:
        label = "=".join(DNS_LABEL)
        raise UsageError(f"there is no pod with the label {label}", remedy="add the cluster's DNS to the inputs")
    senders = tuple(dict.fromkeys(ref for each in flows for ref in each.sources if ref not in servers))
    return tuple(Required(senders, None, servers, None, 53, protocol) for protocol in ("UDP", "TCP") if senders)


def _differing(found: Difference, world: World) -> None:
    from tui.output.differences import difference_text

    owners = {pod.ref: f"{pod.namespace}/{pod.owner}" for pod in world.objects.pods}
    click.echo("these policies differ from the required traffic:", err=True)
    click.echo(difference_text(found, owners), err=True)
    click.echo("where ranges hold pods whose addresses are not known, --pod-range keeps them apart", err=True)
