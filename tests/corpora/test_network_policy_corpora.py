"""The evaluator against independent truth: conformance suites and other tools' recorded answers."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from grader.kube.parse import read_objects
from grader.reachability.cases import judge, read_steps
from grader.reachability.verdict import Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.corpora


def load(file: Path) -> Any:
    with gzip.open(file, "rt", encoding="utf-8") as text:
        return json.load(text)


@pytest.mark.parametrize(("name", "cells"), [("k8s-e2e-netpol", 506), ("recipes", 52)])
def test_every_cell_agrees(corpora: Path, name: str, cells: int) -> None:
    file = corpora / f"{name}.json.gz"
    tally = judge(read_steps(load(file), file))
    assert [(each.step.case, each.expected, each.why) for each in tally.differing] == []
    assert (tally.cells, tally.agreeing) == (cells, cells)


@pytest.mark.slow
def test_netpol_analyzer_differs_only_where_the_specification_is_open(corpora: Path) -> None:
    """That tool treats pods in their node's network like others, which Calico does not."""
    file = corpora / "npa-goldens.json.gz"
    tally = judge(read_steps(load(file), file))
    assert tally.cells == 107_432
    assert tally.differing == []
    assert tally.left_open == 3_896


@pytest.mark.slow
def test_cyclonus_agrees_for_each_direction(corpora: Path) -> None:
    """Its marks are combined, ingress, egress: `.` allowed, `X` blocked."""
    differing, compared = [], 0
    for case in load(corpora / "cyclonus.json.gz"):
        for step in case["steps"]:
            world = World(read_objects(objects_of(step)))
            for flow, mark in cells_of(step):
                verdict = world.verdict(flow)
                answers = (verdict.allowed, verdict.ingress.allowed, verdict.egress.allowed)
                compared += 1
                if "".join("." if allowed else "X" for allowed in answers) != mark:
                    differing.append((case["id"], case["description"], flow, mark, verdict))
    assert differing == []
    assert compared > 100_000


def objects_of(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, labels in step["namespaces"].items():
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    for pod in step["pods"]:
        ports = [{"name": p["name"], "containerPort": p["port"], "protocol": p["protocol"]} for p in pod["ports"]]
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {key: pod[key] for key in ("namespace", "name", "labels")},
            "spec": {"containers": [{"name": "c", "ports": ports}]},
            "status": {"podIP": pod["ip"]},
        }
    for policy in step["policies"] or ():
        yield {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **policy}


def cells_of(step: dict[str, Any]) -> Iterator[tuple[Flow, str]]:
    named = {
        (f"{pod['namespace']}/{pod['name']}", port["protocol"], port["name"]): port["port"]
        for pod in step["pods"]
        for port in pod["ports"]
    }
    for pair, marks in step["verdicts"].items():
        source, destination = pair.split(">")
        for key, mark in marks.items():
            protocol, port = key.split("/")
            number = int(port) if port.isdigit() else named[destination, protocol, port]
            if source != destination:
                yield Flow(source, destination, number, protocol), mark
