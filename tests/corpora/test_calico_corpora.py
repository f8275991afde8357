"""Calico and ClusterNetworkPolicy against independent truth: real packets, Calico's own tests, other tools' answers.

A big file is sampled by default, whole cases at a time; `NETDOJO_FULL_CORPORA=1` judges every cell.
"""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from grader.calico.selectors import SelectorError, parse_selector
from grader.kube.parse import read_objects
from grader.reachability.cases import judge, read_steps
from grader.reachability.matrix import Column
from grader.reachability.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from grader.reachability.cases import Step

pytestmark = pytest.mark.corpora

FULL = os.environ.get("NETDOJO_FULL_CORPORA") == "1"

NAMED_PORTS_WITHOUT_A_PROTOCOL = {
    "pol-76-allow-to-named-port",
    "pol-77-allow-to-named-ports",
    "pol-78-allow-to-named-ports-v6",
    "pol-79-allow-to-mixed-ports",
    "pol-80-allow-from-named-port",
    "pol-81-allow-from-named-ports",
}
"""Two cells each expect UDP to pass a rule with a named port and no protocol.

The recorded programs hold sets of (address, protocol, port), which no policy can say without naming the protocol. As
written here, Calico takes such a rule nowhere: its API refuses it (libcalico-go `validator/v3/validator.go`,
`validateRule`: ports without a protocol, names too), and one that got into the storage all the same makes felix treat
the whole policy as missing (`calc/validation_filter.go` with `validator/v1/validator.go`, `validateBackendRule`). Were
it taken, it would mean TCP: `calc/rule_scanner.go` (`ruleToParsedRule`) starts from `ProtocolTCP` for named ports and
changes that only where the rule has a protocol. UDP passes in none of the three.
"""


def load(file: Path) -> Any:
    with gzip.open(file, "rt", encoding="utf-8") as text:
        return json.load(text)


def steps_of(corpora: Path, name: str, *, every: int = 1) -> tuple[Step, ...]:
    file = corpora / f"{name}.json.gz"
    document = load(file)
    document["cases"] = document["cases"][:: 1 if FULL else every]
    return read_steps(document, file)


def test_selectors(corpora: Path) -> None:
    document = load(corpora / "calico-selectors.json.gz")
    for entry in document["selectors"]:
        expression = parse_selector(entry["selector"])
        assert [expression.matches(labels) for labels in entry["match"]] == [True] * len(entry["match"]), entry
        assert not any(expression.matches(labels) for labels in entry["no_match"]), entry
    for entry in document["canonical"]:
        assert str(parse_selector(entry["input"])) == entry["expected"]
    for text in document["valid_only"]:
        parse_selector(text)
    assert (len(document["selectors"]), len(document["invalid"])) == (58, 26)


def test_refused_selectors(corpora: Path) -> None:
    for text in load(corpora / "calico-selectors.json.gz")["invalid"]:
        with pytest.raises(SelectorError, match="at position"):
            parse_selector(text)


def test_cluster_network_policy_conformance(corpora: Path) -> None:
    tally = judge(steps_of(corpora, "cnp-conformance"))
    assert [(each.step.case, each.expected, each.why) for each in tally.differing] == []
    assert (tally.cells, tally.agreeing) == (301, 301)


def test_calicos_policy_programs(corpora: Path) -> None:
    tally = judge(steps_of(corpora, "calico-polprog"))
    unexplained = [each for each in tally.differing if each.step.case not in NAMED_PORTS_WITHOUT_A_PROTOCOL]
    assert [(each.step.case, each.expected, each.why) for each in unexplained] == []
    assert {each.expected.flow.protocol for each in tally.differing} == {"UDP"}
    assert (tally.cells, tally.agreeing + tally.disputed, len(tally.differing)) == (1_098, 1_086, 12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "every", "cells"), [("calico-live", 4, 203_219), ("nca-calico", 7, 661_482)], ids=["live", "nca"]
)
def test_every_undisputed_cell_agrees(corpora: Path, name: str, every: int, cells: int) -> None:
    tally = judge(steps_of(corpora, name, every=every))
    assert [(each.step.case, each.expected, each.why) for each in tally.differing] == []
    assert tally.left_open == 0
    assert tally.cells == cells if FULL else tally.cells > cells // (2 * every)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "every"), [("calico-live", 8), ("nca-calico", 24), ("cnp-conformance", 1), ("calico-polprog", 2)]
)
def test_sets_of_endpoints_agree_with_single_flows(corpora: Path, name: str, every: int) -> None:
    """Every cell that a case asks about, read from the set-wise matrix of its step."""
    compared = 0
    for step in steps_of(corpora, name, every=every):
        world = World(read_objects(step.objects, lenient=True))
        wanted = [each.flow for each in step.expected if each.flow.icmp is None and each.flow.source_port is None]
        for family in {flow.family for flow in wanted}:
            flows = [flow for flow in wanted if flow.family == family][::3]
            sources = list(dict.fromkeys(flow.source for flow in flows))
            columns = list(dict.fromkeys(Column(flow.destination, flow.port, flow.protocol) for flow in flows))
            matrix = {flow: allowed for flow, allowed, _ in world.matrix(sources, columns, family).cells()}
            for flow in flows:
                compared += 1
                assert matrix[flow] == world.verdict(flow).allowed, (step.case, step.number, flow)
    assert compared > 0
