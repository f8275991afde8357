"""`netdojo reach check`: expectations against verdicts, in the corpora's form or a lab's arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tui.commands.options import perform, report_option
from tui.commands.reach.inputs import read
from tui.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 256 * 2**20
"""Bytes of a file of cases, unpacked: a small archive must not fill the memory."""


@click.command()
@click.argument("cases", metavar="CASES")
@click.argument("paths", metavar="[PATH…]", nargs=-1)
@report_option
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
    from tui.output.tally import tally_json, tally_junit, tally_text

    path = Path(cases)
    if path.is_dir():
        return _check_lab(path, paths, output)
    objects = [item for item, _ in read(paths)] if paths else []
    steps = read_steps(_document(path), path)
    tally = judge(steps, objects)
    if output == "json":
        click.echo(tally_json(tally))
    elif output == "junit":
        click.echo(tally_junit(tally, steps))
    else:
        click.echo(tally_text(tally))
    return ExitCode.FAILED if tally.differing else ExitCode.HELD


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
    objects = [item for item, _ in read(paths)] if paths else []
    namespace = lab.spec.namespace
    families = tuple(4 if family == "ipv4" else 6 for family in lab.spec.topology.families)
    cluster = SimulatedCluster([*CLUSTER_DNS, *in_namespace(objects_of(lab.start), namespace)], families=families)

    async def work() -> Any:  # noqa: ANN401 - a Report; its import would load more than the command needs
        await cluster.apply(in_namespace(objects, namespace))
        return await grade(lab, cluster)

    report = perform(work())
    if output == "json":
        click.echo(forms.report_json(report))
    elif output == "junit":
        click.echo(forms.report_junit(report))
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
