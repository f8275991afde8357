"""Probes on a real cluster: 20 pods, every pod to every other, half of the cells denied.

Usage: python tests/bench/bench_kind_probing.py [--context kind-NAME] [--rounds N] [--keep]

Needs docker and kubectl on the path, a kind cluster that enforces NetworkPolicy, and the labs' image in its nodes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from grader.ports import Outcome, Probe
from labs.kube.probing import Finished, Prober, wire

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.53"
SPACE = "probe-bench"
PODS = 20


class Docker:
    """Runs commands by `docker exec`, and notes how long each took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    async def run(self, machine: str, argv: Sequence[str], stdin: bytes, seconds: float) -> Finished:
        began = time.monotonic()
        command = ("docker", "exec", "-i", machine, *argv)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(stdin)
        self.seconds[machine] = time.monotonic() - began
        return Finished(process.returncode or 0, out, err)


def manifests() -> dict[str, Any]:
    """The pods, half of which nobody may reach."""
    items: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}]
    for number in range(PODS):
        group = "closed" if number % 2 else "open"
        container = {"name": "main", "image": IMAGE, "args": ["netexec", "--http-port=80", "--udp-port=80"]}
        metadata = {"name": f"pod-{number:02}", "namespace": SPACE, "labels": {"group": group}}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        items.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    items.append(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "closed", "namespace": SPACE},
            "spec": {"podSelector": {"matchLabels": {"group": "closed"}}, "policyTypes": ["Ingress"]},
        }
    )
    return {"apiVersion": "v1", "kind": "List", "items": items}


async def main() -> None:
    """Make the pods, probe, print, remove them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--context", default="kind-dev")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="leave the pods where they are")
    given = parser.parse_args()
    base = ["kubectl", f"--context={given.context}"]

    def kubectl(*words: str, stdin: str = "") -> str:
        return subprocess.run([*base, *words], input=stdin, capture_output=True, text=True, check=True).stdout

    async def objects() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(kubectl("get", "pods,services,nodes", "-A", "-o", "json"))["items"]
        return found

    kubectl("apply", "-f", "-", stdin=json.dumps(manifests()))
    try:
        kubectl("wait", "-n", SPACE, "pod", "--all", "--for=condition=Ready", "--timeout=120s")
        runner = Docker()
        prober = Prober(runner, objects)
        names = [f"{SPACE}/pod-{number:02}" for number in range(PODS)]
        for protocol in ("TCP", "UDP", "ICMP"):
            port = 0 if protocol == "ICMP" else 80
            probes = [Probe(a, b, port, protocol) for a in names for b in names]
            for _ in range(given.rounds):
                began = time.monotonic()
                seen = await prober.probe(probes)
                took = time.monotonic() - began
                wrong = sum(
                    1
                    for one in seen
                    if one.outcome != wanted(one.probe) or (one.outcome is Outcome.OPEN and not one.answered_by)
                )
                counts = ", ".join(
                    f"{count} {outcome}" for outcome, count in sorted(Counter(o.outcome for o in seen).items())
                )
                nodes = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in runner.seconds.items())
                print(f"{protocol:5} {len(probes)} probes {took:5.2f} s ({counts}; {wrong} wrong; in {nodes})")
        silence = wire.TRIES * wire.CONNECT_MILLISECONDS / 1000, wire.TRIES * wire.ANSWER_MILLISECONDS / 1000
        print(f"of these, silence that is waited for: TCP and ICMP {silence[0]:.1f} s, UDP {silence[1]:.1f} s")
    finally:
        if not given.keep:
            kubectl("delete", "namespace", SPACE, "--wait=false")


def wanted(probe: Probe) -> Outcome:
    """What the policy says; a pod always reaches itself."""
    closed = int(probe.destination[-2:]) % 2 == 1
    return Outcome.DROPPED if closed and probe.source != probe.destination else Outcome.OPEN


if __name__ == "__main__":
    asyncio.run(main())
