"""A few steps of each large suite, judged flow by flow and set by set: seconds, where the whole takes minutes."""

from __future__ import annotations

import functools
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from grader.kube.fields import PROTOCOLS
from grader.kube.parse import read_objects
from grader.reachability.cases import judge, read_steps
from grader.reachability.matrix import Column
from grader.reachability.world import World

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.corpora

PARTS = {"calico-live": 12, "nca-calico": 24, "npa-goldens": 12}
SAMPLES = [(name, part) for name, parts in PARTS.items() for part in range(parts)]
CELLS = 400
"""Cells of one step that are judged, evenly spread."""


@functools.cache
def read_sample(file: Path, parts: int) -> tuple[dict[str, Any], ...]:
    """Return cases of one step each, evenly spread over the file."""
    with gzip.open(file, "rt", encoding="utf-8") as text:
        cases = json.load(text)["cases"]
    found = []
    for case in (cases[part * len(cases) // parts] for part in range(parts)):
        step = case["steps"][-1]
        found.append({**case, "steps": [{**step, "expect": step["expect"][:: max(1, len(step["expect"]) // CELLS)]}]})
    return tuple(found)


def warm(folder: Path) -> None:
    """Read every file, for a process that will run these tests more than once."""
    for name, parts in PARTS.items():
        read_sample(folder / f"{name}.json.gz", parts)


@pytest.mark.parametrize(("name", "part"), SAMPLES)
def test_a_step_flow_by_flow_and_set_by_set(corpora: Path, name: str, part: int) -> None:
    file = corpora / f"{name}.json.gz"
    (read,) = read_steps({"cases": [read_sample(file, PARTS[name])[part]]}, file)
    tally = judge([read])
    assert [(each.expected, each.why) for each in tally.differing] == []
    assert tally.cells >= 10
    world = World(read_objects(read.objects, lenient=True))
    known = [each for each in read.expected if not each.disputed and each.flow.protocol in PROTOCOLS]
    for family in (4, 6):
        wanted = [each for each in known if each.flow.family == family and each.flow.source_port is None]
        rows = list(dict.fromkeys(each.flow.source for each in wanted))
        columns = list(dict.fromkeys(Column(e.flow.destination, e.flow.port, e.flow.protocol) for e in wanted))
        cells = {
            flow: allowed for flow, allowed, left_open in world.matrix(rows, columns, family).cells() if not left_open
        }
        for each in wanted:
            assert cells.get(each.flow, each.allowed) is each.allowed, each
