"""How long a check's probes take: 20 pods on two nodes, 380 probes, half of them into silence.

    python tests/bench/bench_probing.py

Every second probe of the whole matrix goes to an address that nobody has, which its node drops in silence. The floor
is 0.4 s: a denial is believed after 0.2 s of silence, twice.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import sys
import time
from collections import Counter

from grader.ports import Probe
from labs.sandbox import isolation
from labs.sandbox.network.fabric import Fabric
from labs.sandbox.probing import Endpoint, Prober
from labs.sandbox.runtime import ContainerSpec, PodSpec, ServedPort
from labs.sandbox.workloads import servers

PODS, ROUNDS = 20, 5
PORTS = (ServedPort(80), ServedPort(5353, "UDP"))


def build(loop: asyncio.AbstractEventLoop) -> tuple[Prober, list[str]]:
    fabric = Fabric()
    endpoints = {"nowhere": Endpoint(None, ("10.244.0.63", "fd00:10:244::3f"))}
    for number in range(2):
        fabric.add_machine(f"node-{number}", (f"172.18.0.{number + 2}", f"fd00:172:18::{number + 2}"), is_node=True)
    for number in range(PODS):
        block = number % 2
        addresses = (f"10.244.{block}.{number + 2}", f"fd00:10:244:{block}::{number + 2:x}")
        container = ContainerSpec("web", "nginx", PORTS)
        spec = PodSpec(f"u{number}", "shop", f"p{number}", f"node-{block}", addresses, (container,))
        link = fabric.attach(spec)
        servers.start(link.namespace, spec, loop, "key", lambda _: None)
        endpoints[f"shop/p{number}"] = Endpoint(link.namespace, addresses)
    return Prober(endpoints.__getitem__, "key"), [name for name in endpoints if name != "nowhere"]


async def main() -> None:
    began = time.perf_counter()
    prober, pods = build(asyncio.get_running_loop())
    print(f"{PODS} pods built in {1000 * (time.perf_counter() - began):.0f} ms")
    for protocol, port in (("TCP", 80), ("UDP", 5353), ("ICMP", 0)):
        pairs = [(a, b) for a in pods for b in pods if a != b]
        probes = [Probe(a, "nowhere" if i % 2 else b, port, protocol) for i, (a, b) in enumerate(pairs)]
        walls, works = [], []
        for _ in range(ROUNDS):
            began, used = time.perf_counter(), time.process_time()
            seen = await prober.run(probes)
            walls.append(time.perf_counter() - began)
            works.append(time.process_time() - used)
        outcomes = dict(Counter(str(one.outcome) for one in seen))
        print(
            f"{protocol}: {len(probes)} probes {outcomes}: median {statistics.median(walls):.3f} s, "
            f"worst {max(walls):.3f} s, of that work {1000 * statistics.median(works):.0f} ms"
        )
    probes = [Probe(a, b, 80) for a in pods for b in pods if a != b] * 10
    began = time.perf_counter()
    await prober.run(probes)
    print(f"TCP, all open: {len(probes) / (time.perf_counter() - began):.0f} probes a second")
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB at most")


if __name__ == "__main__":
    isolation.enter()
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    asyncio.run(main())
