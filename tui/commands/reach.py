"""`netdojo reach`: who reaches whom and why, computed from manifests; nothing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tui.commands.options import output_option, perform
from tui.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from grader.reachability.verdict import Explanation, Flow
    from grader.reachability.world import World

paths_argument = click.argument("paths", metavar="PATH…", nargs=-1, required=True)
namespace_option = click.option(
    "--namespace", "-n", default="default", show_default=True, help="Namespace of objects that name none."
)
family_option = click.option("--family", type=click.Choice(["4", "6"]), default=None, help="IP family of the packets.")

OTHER_POLICY_GROUPS = {"projectcalico.org", "crd.projectcalico.org", "policy.networking.k8s.io", "cilium.io"}

LARGEST = 256 * 2**20
"""Bytes of a file of cases, unpacked: a small archive must not fill the memory."""


@click.group()
def reach() -> None:
    """Who reaches whom, and why, computed from manifests.

    PATH is a file of manifests, a folder of them, or - for standard input. A workload without pods stands for itself.

    Endpoints are named web, web.shop or shop/web (a pod, or every pod of a workload), service:shop/web, node:node-1,
    host:bastion, or an address.
    """


@reach.command()
@paths_argument
@namespace_option
@family_option
@click.option("--from", "sources", multiple=True, help="Only this source; may be repeated.")
@click.option("--to", "targets", metavar="DST[:PORT[/PROTO]]", multiple=True, help="Only this destination.")
@output_option
def matrix(
    *,
    paths: tuple[str, ...],
    namespace: str,
    family: str | None,
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    output: str,
) -> None:
    """Show all pairs: every workload against every port that one declares."""
    from grader.reachability.names import columns, parse_target, resolve
    from tui.output import reach as forms
    from tui.output import terminal_width

    world = _world(paths, namespace)
    rows = [ref for text in sources for ref in resolve(world, text)] or None
    wanted = [column for text in targets for column in columns(world, parse_target(text))] or None
    owners = {pod.ref: f"{pod.namespace}/{pod.owner}" for pod in world.objects.pods}
    folded = forms.fold(world.matrix(rows, wanted, int(family or world.family)), owners)
    click.echo(forms.matrix_json(folded) if output == "json" else forms.matrix_text(folded, terminal_width()))


@reach.command()
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST[:PORT[/PROTO]]")
@paths_argument
@namespace_option
@family_option
@output_option
def explain(
    *, source: str, destination: str, paths: tuple[str, ...], namespace: str, family: str | None, output: str
) -> None:
    """Say why SRC reaches DST or not: the way, the deciding policy and rule, and what came close."""
    import json

    from tui.output.terminal import clean, default_symbols, terminal_width, wrap

    symbols, width = default_symbols(), terminal_width()
    world = _world(paths, namespace)
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


@reach.command()
@click.argument("cases", metavar="CASES")
@click.argument("paths", metavar="[PATH…]", nargs=-1)
@output_option
def check(cases: str, paths: tuple[str, ...], output: str) -> int:
    """Compare expectations with verdicts.

    CASES is a JSON file (also .json.gz, or - for standard input) of the form

    \b
      {"cases": [{"id": "…", "steps": [{"objects": [Kubernetes objects],
        "expect": [{"from": "ns/pod", "to": "ip:192.0.2.1",
                    "protocol": "TCP", "port": 80, "allowed": true}]}]}]}

    or the folder of a lab: the arrows of its tasks are then judged on its start manifests with those of PATH… applied.
    """  # noqa: D301 - click takes \b for "do not wrap", as a character
    from pathlib import Path

    from grader.reachability.cases import judge, read_steps
    from tui.output.tally import tally_json, tally_text

    path = Path(cases)
    if path.is_dir():
        return _check_lab(path, paths, output)
    objects, _ = _read(paths)
    tally = judge(read_steps(_document(path), path), objects)
    click.echo(tally_json(tally) if output == "json" else tally_text(tally))
    return ExitCode.FAILED if tally.differing else ExitCode.HELD


def _world(paths: tuple[str, ...], namespace: str) -> World:
    from grader.kube.parse import read_objects
    from grader.reachability.world import World

    objects, origins = _read(paths)
    parsed = read_objects(objects, default_namespace=namespace, origins=origins)
    ignored = {kind: count for kind, count in parsed.passed_over.items() if _decides(kind)}
    if ignored:
        listed = ", ".join(f"{count} {kind}" for kind, count in ignored.items())
        click.echo(f"note: not judged, although they may decide traffic: {listed}", err=True)
    return World(parsed)


def _decides(kind: str) -> bool:
    """Tell whether a kind that is passed over may decide traffic: those of other policy APIs do."""
    return kind.partition(".")[2] in OTHER_POLICY_GROUPS


def _read(paths: tuple[str, ...]) -> tuple[list[dict[str, Any]], list[Any]]:
    from grader.kube.model import Origin
    from tui.commands.manifests import read_located

    located = read_located(paths)
    return [item for item, _, _ in located], [Origin(file, line) for _, file, line in located]


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


def _document(path: Path) -> object:
    import gzip
    import json
    import sys
    import zlib

    from content.errors import BrokenContentError, Defect, UsageError

    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(LARGEST + 1)
        elif path.name.endswith(".gz"):
            with gzip.open(path) as archive:
                data = archive.read(LARGEST + 1)
        else:
            with path.open("rb") as file:
                data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            cause = f"holds more than {LARGEST // 2**20} MiB"
            raise BrokenContentError([Defect(path, 0, cause, "split it into several files of cases")])
        return json.loads(data)
    except FileNotFoundError as error:
        raise UsageError(f"{path} is not there", remedy="name a file of cases, or a lab's folder") from error
    except json.JSONDecodeError as error:
        raise BrokenContentError([Defect(path, error.lineno, f"this is no JSON: {error.msg}")]) from error
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, RecursionError) as error:
        raise BrokenContentError([Defect(path, 0, f"cannot be read: {error}")]) from error


def _check_lab(folder: Path, paths: tuple[str, ...], output: str) -> int:
    from content.load import load_lab
    from grader.grade import grade
    from grader.simulate import SimulatedCluster
    from labs.session import in_namespace, objects_of
    from tui import output as forms

    lab = load_lab(folder)
    objects, _ = _read(paths)
    namespace = lab.spec.namespace
    families = tuple(4 if family == "ipv4" else 6 for family in lab.spec.topology.families)
    cluster = SimulatedCluster([*CLUSTER_DNS, *in_namespace(objects_of(lab.start), namespace)], families=families)

    async def work() -> Any:  # noqa: ANN401 - a Report; its import would load more than the command needs
        await cluster.apply(in_namespace(objects, namespace))
        return await grade(lab, cluster)

    report = perform(work())
    if output == "json":
        click.echo(forms.report_json(report))
    else:
        click.echo(forms.report_text(report, width=forms.terminal_width(), color=forms.wants_color()))
    return ExitCode.HELD if report.held else ExitCode.FAILED


CLUSTER_DNS: list[dict[str, Any]] = [
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "spec": {
            "template": {
                "metadata": {"labels": {"k8s-app": "kube-dns"}},
                "spec": {
                    "containers": [
                        {
                            "name": "coredns",
                            "image": "coredns",
                            "ports": [
                                {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                                {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
                            ],
                        }
                    ]
                },
            }
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system"},
        "spec": {
            "clusterIP": "10.96.0.10",
            "selector": {"k8s-app": "kube-dns"},
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
            ],
        },
    },
]
"""What every cluster brings along, and labs speak of: its DNS."""
