"""Two pods on one node, with servers in one of them: the smallest network in which probes and tools mean something."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labs.sandbox.runtime import ContainerSpec, PodSpec, ServedPort

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grader.ports import Observation, Probe
    from labs.sandbox.network.fabric import Fabric
    from labs.sandbox.probing import Prober
    from labs.sandbox.workloads.command import Command
    from labs.sandbox.workloads.servers import Servers

SECRET = "the lab's own"  # noqa: S105 - a test's
CLIENT = ("10.244.0.2", "fd00:10:244::2")
SERVER = ("10.244.0.3", "fd00:10:244::3")
CONTAINERS = (
    ContainerSpec("web", "nginx:1.27"),
    ContainerSpec("dns", "registry.k8s.io/coredns/coredns:v1.11.1"),
    ContainerSpec(
        "tool",
        "registry.k8s.io/e2e-test-images/agnhost:2.45",
        (ServedPort(8080), ServedPort(8081, "UDP"), ServedPort(8082, "SCTP")),
    ),
    ContainerSpec("cache", "redis:7"),
    ContainerSpec("odd", "example.test/own:1", (ServedPort(9000),)),
)


@dataclass
class Pair:
    """`shop/client` and `shop/server`, whose servers run."""

    fabric: Fabric
    servers: Servers
    prober: Prober
    log: list[str] = field(default_factory=list)

    async def probe(self, *probes: Probe) -> tuple[Observation, ...]:
        return await self.prober.run(probes)

    def spawn(self, argv: Sequence[str], *, tty: bool = False, **env: str) -> Command:
        from labs.sandbox.workloads import command

        search = "search shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
        return command.spawn(
            self.fabric.pods["client"].namespace,
            argv,
            tty=tty,
            hostname="client",
            resolv_conf=f"nameserver {SERVER[0]}\n{search}",
            env=env,
        )

    async def run(self, *argv: str, stdin: bytes = b"", **env: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        session = self.spawn(argv, **env)
        texts = {1: b"", 2: b""}
        try:
            await session.write(stdin)
            await session.write(b"")
            async for stream, data in session.output():
                texts[stream] += data
            return await session.wait(), texts[1].decode(), texts[2].decode()
        finally:
            session.kill()


def make_pair() -> Pair:
    from labs.sandbox.network.fabric import Fabric
    from labs.sandbox.probing import Endpoint, Prober
    from labs.sandbox.workloads import records, servers

    fabric = Fabric()
    fabric.add_machine("node-1", ("172.18.0.2", "fd00:172:18::2"), is_node=True)
    client = PodSpec("client", "shop", "client", "node-1", CLIENT, ())
    server = PodSpec("server", "shop", "server", "node-1", SERVER, CONTAINERS)
    for pod in (client, server):
        fabric.attach(pod)
    log: list[str] = []
    loop = asyncio.get_running_loop()
    running = servers.start(fabric.pods["server"].namespace, server, loop, SECRET, log.append)
    service = {
        "kind": "Service",
        "metadata": {"name": "summary", "namespace": "shop"},
        "spec": {"clusterIPs": [*SERVER], "ports": [{"name": "http", "port": 80}]},
    }
    running.publish(records.build([service], {"bastion": ["203.0.113.9"]}))
    places = {
        "shop/client": Endpoint(fabric.pods["client"].namespace, CLIENT),
        "shop/server": Endpoint(fabric.pods["server"].namespace, SERVER),
        "shop/old": Endpoint(None, SERVER[:1]),
        "shop/gone": Endpoint(None, ("10.244.0.9", "fd00:10:244::9")),
        "service:shop/summary": Endpoint(None, SERVER),
        "node:node-1": Endpoint(fabric.machines["node-1"].namespace, ("172.18.0.2", "fd00:172:18::2")),
    }
    return Pair(fabric, running, Prober(places.__getitem__, SECRET), log)


@pytest.fixture(scope="session")
def pair() -> Callable[[], Pair]:
    """Makes the two pods; to be called inside an isolated child, with a running loop."""
    return make_pair


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(scope="session", name="descriptors")
def count_of_descriptors() -> Callable[[], int]:
    """How many descriptors this process has open."""
    return descriptors
