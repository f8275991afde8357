"""A small part of `compare.py`, for every run: real Calico and the evaluator on the same random clusters."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from calico_rounds import Tally, play
from cells import differing
from random_kubernetes import NAMESPACES

from content.model import Topology
from grader.kube.parse import read_objects
from grader.ports import Observation, Outcome, Probe
from grader.reachability.world import World
from labs.base import Request
from labs.kubeconfig.backend import KubeconfigBackend
from labs.kubeconfig.settings import CONTAINERS, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SEED = int(os.environ.get("NETDOJO_SEED", "1"))
ROUNDS = int(os.environ.get("NETDOJO_ROUNDS", "2"))


async def yes(_lines: Sequence[str]) -> bool:
    return True


@pytest.mark.kind
@pytest.mark.slow
@pytest.mark.timeout(600 + 300 * ROUNDS)
async def test_packets_go_through_calico_as_verdicts_say(
    somebodys_cluster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = KubeconfigBackend(Settings("somebody", (somebodys_cluster,), ways=(CONTAINERS,)))
    backend.agree = yes
    folder = tmp_path / "state" / "compare"
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]
    total = Tally()
    running = await backend.start(Request("compare", Topology(nodes=2), spaces), folder, lambda _: None)
    try:
        cluster = await backend.connect(running)
        await cluster.prove_enforcement()
        for seed in range(SEED, SEED + ROUNDS):
            total.add(await play(cluster, seed, sets=2, count=300, tell=lambda _: None))
    finally:
        await backend.stop("compare", folder)
    with capsys.disabled():
        print(f"\n{total.cells} cells on real Calico, {total.denied} denied, {len(total.differences)} differ")
    assert not total.differences, "\n".join(f"{each.said}\n{each.least}" for each in total.differences)
    assert 0.1 < total.denied / total.cells < 0.95, "the clusters are too open or too closed to compare anything"


def test_the_judge_of_the_comparison_can_fail() -> None:
    def pod(name: str, address: str) -> dict[str, object]:
        spec = {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]}
        metadata = {"namespace": "red", "name": name}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"podIP": address}}

    world = World(read_objects([pod("a", "10.0.0.1"), pod("b", "10.0.0.2")]))
    probe = Probe("red/a", "red/b", 80)
    assert differing(world, [Observation(probe, Outcome.OPEN, "red/b")]) == []
    for seen in (Observation(probe, Outcome.DROPPED), Observation(probe, Outcome.OPEN, "red/a")):
        assert len(differing(world, [seen])) == 1
