"""Real Calico against the evaluator, by one command:

    python tests/kind/compare.py --context kind-dev --cells 20000 --seed 1

Random pods, labels, Services, NetworkPolicies and Calico policies are applied to the cluster of that context, each cell
of a sample of the matrix is probed and compared with the evaluator's verdict, and all of it is removed again. A cell
that differs is probed a second time; where it still differs, the least set of policies is printed with which it does.
The exit status is 1 then. A cluster of its own is best: what others do there meanwhile is part of what is compared.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "generators"))

import yaml
from calico_rounds import Tally, play
from random_kubernetes import NAMESPACES

from content.model import Topology
from grader.errors import InfrastructureError
from labs.base import Request
from labs.kubeconfig import settings
from labs.kubeconfig.backend import KubeconfigBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.ports import Cluster

MOST_FAILED = 5
"""Rounds that may fail to run before it is given up."""
SETS = 5
"""Sets of labels and policies that the pods of one round see."""


async def compare(cluster: Cluster, *, seed: int, cells: int, count: int = 600, sets: int = SETS) -> Tally:
    """Rounds from a seed on until so many cells were compared."""
    total = Tally()
    failed = 0
    while total.cells < cells:
        began = time.monotonic()
        try:
            tally = await play(cluster, seed, sets=sets, count=count, tell=lambda line: print(line, flush=True))
        except InfrastructureError as error:  # the machine was too busy: what stands still is part of what is compared
            failed += 1
            print(f"  seed {seed} could not run: {error.message}", flush=True)
            if failed == MOST_FAILED:
                raise
            seed += 1
            continue
        total.add(tally)
        _tell(seed, tally)
        took = time.monotonic() - began
        print(f"  {total.cells} cells so far, {len(total.differences)} differ ({took:.0f} s)", flush=True)
        seed += 1
    return total


def _tell(seed: int, tally: Tally) -> None:
    for said in tally.unsteady:
        print(f"  seed {seed}, only once: {said}")
    for difference in tally.differences:
        print(f"  seed {seed}, DIFFERS: {difference.said}")
        if difference.least:
            print(yaml.safe_dump_all(difference.least))


async def _yes(_lines: Sequence[str]) -> bool:
    return True


async def main(seed: int, cells: int) -> int:
    chosen = settings.load()
    with tempfile.TemporaryDirectory() as home:
        backend = KubeconfigBackend(chosen)
        backend.agree = _yes
        folder = Path(home) / "compare"
        spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]
        request = Request("compare", Topology(nodes=2), spaces, namespace=NAMESPACES[0])
        running = await backend.start(request, folder, print)
        try:
            cluster = await backend.connect(running)
            await cluster.prove_enforcement()
            total = await compare(cluster, seed=seed, cells=cells)
        finally:
            await backend.stop("compare", folder)
    share = 100 * total.denied / total.cells
    print(
        f"{total.sets} sets of policies, {total.cells} cells ({share:.0f} % denied): {len(total.differences)} differ, "
        f"{len(total.unsteady)} differed once and not again"
    )
    return 1 if total.differences else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cells", type=int, default=20_000)
    given = parser.parse_args()
    os.environ["NETDOJO_KUBECONFIG_CONTEXT"] = given.context
    sys.exit(asyncio.run(main(given.seed, given.cells)))
