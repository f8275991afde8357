"""All pairs by classes against the cells of conformance suites and of real packets, whole steps at a time."""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from grader.kube.fields import PROTOCOLS
from grader.kube.parse import read_objects
from grader.reachability.cases import read_steps
from grader.reachability.matrix import Column
from grader.reachability.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from grader.reachability.cases import Expected, Step

pytestmark = pytest.mark.corpora
FULL = bool(os.environ.get("NETDOJO_FULL_CORPORA"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("k8s-e2e-netpol", 1),
        ("cnp-conformance", 1),
        ("recipes", 1),
        ("calico-live", 8),
        ("nca-calico", 8),
        ("npa-goldens", 4),
    ],
)
def test_cells_of_whole_matrices(corpora: Path, name: str, every: int) -> None:
    """Of the large ones each eighth step, or all with NETDOJO_FULL_CORPORA=1."""
    file = corpora / f"{name}.json.gz"
    with gzip.open(file, "rt", encoding="utf-8") as text:
        steps = read_steps(json.load(text), file)
    differing: list[Any] = []
    compared = 0
    for step in steps[:: 1 if FULL else every]:
        for expected, allowed in cells(step):
            compared += 1
            if allowed is not expected.allowed:
                differing.append((step.case, step.number, expected))
    assert differing == []
    assert compared >= 40


def cells(step: Step) -> list[tuple[Expected, bool]]:
    """Undisputed cells between endpoints of the step, with what the matrix says; without what is left open."""
    world = World(read_objects(step.objects, lenient=True))
    found: list[tuple[Expected, bool]] = []
    for family in (4, 6):
        wanted = [
            each
            for each in step.expected
            if not each.disputed
            and each.flow.family == family
            and each.flow.protocol in PROTOCOLS
            and each.flow.source_port is None
        ]
        rows = list(dict.fromkeys(each.flow.source for each in wanted))
        columns = list(dict.fromkeys(Column(e.flow.destination, e.flow.port, e.flow.protocol) for e in wanted))
        matrix = world.matrix(rows, columns, family)
        at = {row: i for i, row in enumerate(rows)}, {column: i for i, column in enumerate(columns)}
        for each in wanted:
            row = at[0][each.flow.source]
            column = at[1][Column(each.flow.destination, each.flow.port, each.flow.protocol)]
            if not matrix.left_open[column] >> row & 1:
                found.append((each, bool(matrix.allowed[column] >> row & 1)))
    return found
