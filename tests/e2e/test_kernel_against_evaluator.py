"""The two implementations of NetworkPolicy check each other: packets through the kernel against computed verdicts.

Random small clusters with random policies are applied, one after the other, to one running sandbox, and every cell of a
sample of the matrix is probed and judged. The two share parsed objects and label selectors only.

`NETDOJO_ROUNDS=200 NETDOJO_SEED=7 pytest tests/e2e/test_kernel_against_evaluator.py` runs 200 clusters from seed 7. A
failure names its round's seed: `NETDOJO_ROUNDS=1 NETDOJO_SEED=<that>` plays it alone.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from cells import differences, story
from random_kubernetes import (
    addresses_in,
    random_homes,
    random_pods,
    random_policies,
    random_probes,
    services_of,
    with_labels,
    with_service_protocols,
)

from content.model import Topology
from grader.kube.parse import read_objects
from grader.ports import Outcome, Probe
from grader.reachability.world import World
from labs.base import Request
from labs.sandbox.backend import SandboxBackend
from labs.store import cluster_folder

if TYPE_CHECKING:
    from pathlib import Path

    from grader.ports import Cluster, Manifest

ROUNDS = int(os.environ.get("NETDOJO_ROUNDS", "40"))
SEED = int(os.environ.get("NETDOJO_SEED", "1"))
PROBES = 150
"""Cells a round; half of them or so are denied, and a denial costs 400 ms of silence that all of them share."""


async def play(cluster: Cluster, seed: int) -> tuple[list[str], int, int, list[Manifest]]:
    """One cluster: made, probed under two sets of labels and policies, judged, and taken away again."""
    rng = random.Random(seed)
    homes, pods = random_homes(rng), random_pods(rng, seed)
    services = services_of(rng, pods)
    await cluster.apply([*homes, *pods, *services])
    wrong: list[str] = []
    denied = total = 0
    policies: list[Manifest] = []
    labelled = pods
    for _ in range(2):
        old = policies
        labelled = with_labels(rng, pods)
        policies = random_policies(rng, addresses_in(await cluster.snapshot()))
        kept = {(p["metadata"]["namespace"], p["metadata"]["name"]) for p in policies}
        await cluster.delete([p for p in old if (p["metadata"]["namespace"], p["metadata"]["name"]) not in kept])
        await cluster.apply([*random_homes(rng), *labelled, *policies])
        probes = with_service_protocols(random_probes(rng, labelled, PROBES), services)
        seen = await cluster.probe(probes)
        wrong = differences(World(read_objects(await cluster.snapshot())), seen)
        total += len(seen)
        denied += sum(observation.outcome is Outcome.DROPPED for observation in seen)
        if wrong:
            break
    await cluster.delete([*policies, *services, *pods])
    return wrong, total, denied, [*labelled, *policies]


@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.timeout(60 + 5 * ROUNDS)
async def test_packets_go_as_verdicts_say(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del home
    backend = SandboxBackend("nftables")
    folder = cluster_folder("comparison")
    topology = Topology(nodes=2, families=("ipv4", "ipv6"))
    running = await backend.start(Request("comparison", topology), folder, lambda _: None)
    try:
        cluster = await backend.connect(running)
        await cluster.prove_enforcement()
        total = denied = 0
        for round_ in range(ROUNDS):
            seed = SEED + round_
            wrong, probed, dropped, objects = await play(cluster, seed)
            assert not wrong, story(f"NETDOJO_ROUNDS=1 NETDOJO_SEED={seed}", wrong, objects)
            total += probed
            denied += dropped
        assert 0.1 < denied / total < 0.9, "the clusters are too open or too closed to compare anything"
        with capsys.disabled():
            print(f"\n{ROUNDS} clusters, {2 * ROUNDS} sets of policies: {total} cells, {denied} denied, 0 differ")
    finally:
        await backend.stop("comparison", folder)


def test_the_comparison_would_see_a_difference() -> None:
    """A verdict that is turned is reported: the judge of this comparison can fail."""
    from grader.ports import Observation

    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "red", "name": "a"},
        "spec": {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]},
        "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]},
    }
    other = {**pod, "metadata": {"namespace": "red", "name": "b"}, "status": {"podIPs": [{"ip": "10.0.0.2"}]}}
    world = World(read_objects([pod, other]))
    probe = Probe("red/a", "red/b", 80)
    assert differences(world, [Observation(probe, Outcome.OPEN, "red/b")]) == []
    assert len(differences(world, [Observation(probe, Outcome.DROPPED)])) == 1
    assert len(differences(world, [Observation(probe, Outcome.ERROR)])) == 1
    assert len(differences(world, [Observation(probe, Outcome.OPEN, "red/c")])) == 1
