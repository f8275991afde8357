"""Outside hosts: containers of the node image beside the nodes, with addresses of their own that nodes know the way to.

They have the addresses that the sandbox gives them, so that a lab's files may name them. A host reaches pods by way of
the node that each is on: routes for that are made by the probes that need them (`labs.kube.probing`), for pods move.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.kind import images
from labs.kind.engine import CLUSTER, HOME, HOST, Wanted
from labs.kind.runner import host_container
from labs.sandbox.controllers import addresses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from labs.kind.engine import Container, Engine

_RANGES = tuple(
    ipaddress.ip_network(f"{addresses.host(1, (f,))[0]}/{24 if f == 4 else 64}", strict=False) for f in (4, 6)
)
_NETWORK = "kind"
"""The engine's network on which kind puts nodes."""
_SECONDS = 20.0
_LISTENING = """
use Socket;
for (1 .. 200) {
    socket my $socket, AF_INET, SOCK_STREAM, 0 or die "socket: $!\\n";
    exit 0 if connect $socket, pack_sockaddr_in(443, INADDR_LOOPBACK);
    select undef, undef, undef, 0.05;
}
die "it does not listen\\n";
"""
"""Ends well once the host's server answers on the second of its ports."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The cluster that hosts stand beside.

    Attributes:
        cluster: kind's name of it.
        home: whose cluster it is, as containers are labelled.
        image: the node image.
        nodes: the node containers, all of them running.
        families: 4, 6 or both.
    """

    cluster: str
    home: str
    image: str
    nodes: Sequence[Container]
    families: tuple[int, ...] = (4,)


async def ensure(engine: Engine, beside: Beside, names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Have exactly these hosts, reachable from nodes and pods, and return their addresses by name.

    Twice is once; what a restart has taken away is put back.

    Raises:
        InfrastructureError: the engine refuses, or a container's system does.
    """
    wanted = {name: addresses.host(number, beside.families) for number, name in enumerate(names, 1)}
    standing = {}
    for found in await engine.containers({CLUSTER: beside.cluster, HOST: None}):
        if found.runs and found.labels.get(HOST) in wanted and found.labels.get(HOME) == beside.home:
            standing[found.labels[HOST]] = found
        else:
            await engine.remove(found.id)
    made = await asyncio.gather(*(_run(engine, beside, name) for name in wanted if name not in standing))
    standing |= {host.labels[HOST]: host for host in made}
    ways = {address: _beside(standing[name], address) for name, own in wanted.items() for address in own}
    await asyncio.gather(*(_tune_host(engine, beside, standing[name], own, ways) for name, own in wanted.items()))
    routes = [f"route replace {address} via {way}" for address, way in ways.items()]
    await _tune_nodes(engine, beside, routes)
    return wanted


async def remove(engine: Engine, beside: Beside, *, had_some: bool) -> None:
    """Remove all hosts of the cluster and the nodes' routes to them; none is fine.

    Where the cluster had some, as far as is known, routes may be left of which the hosts are gone.
    """
    found = await engine.containers({CLUSTER: beside.cluster, HOST: None})
    await asyncio.gather(*(engine.remove(host.id) for host in found))
    if found or had_some:
        await _tune_nodes(engine, beside, ())


async def _run(engine: Engine, beside: Beside, name: str) -> Container:
    script = resources.files("labs.kind").joinpath("host.pl").read_text(encoding="utf-8")
    return await engine.run(
        Wanted(
            host_container(beside.cluster, name),
            await images.resolve(engine, beside.image),
            {CLUSTER: beside.cluster, HOME: beside.home, HOST: name},
            _NETWORK,
            command=("-e", script, name),
            entrypoint=("perl",),
            capabilities=("NET_ADMIN", "NET_RAW"),
        )
    )


async def _tune_host(
    engine: Engine, beside: Beside, host: Container, own: Sequence[str], ways: Mapping[str, str]
) -> None:
    """Give it its addresses, and have it use them towards nodes and other hosts; return when it answers."""
    lines = []
    for address in own:
        length = ipaddress.ip_address(address).max_prefixlen
        lines.append(f"address replace {address}/{length} dev eth0")
        lines += [f"route replace {_beside(node, address)} dev eth0 src {address}" for node in beside.nodes]
        others = [other for other in ways if other not in own and (":" in other) == (":" in address)]
        lines += [f"route replace {other} via {ways[other]} src {address}" for other in others]
    await _batch(engine, host.id, lines)
    await _checked(engine, host.id, ("perl", "-e", _LISTENING), b"")


async def _tune_nodes(engine: Engine, beside: Beside, routes: Sequence[str]) -> None:
    forget = [f"route flush root {_RANGES[family == 6]}" for family in beside.families]
    await asyncio.gather(*(_batch(engine, node.id, (*forget, *routes)) for node in beside.nodes))


async def _batch(engine: Engine, container: str, lines: Sequence[str]) -> None:
    await _checked(engine, container, ("ip", "-batch", "-"), ("\n".join(lines) + "\n").encode())


async def _checked(engine: Engine, container: str, argv: Sequence[str], stdin: bytes) -> None:
    done = await engine.exec(container, argv, stdin, _SECONDS)
    if done.code:
        told = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[:300]
        raise InfrastructureError(
            f"{argv[0]} in the container {container} ended with status {done.code}: {told or 'it said nothing'}",
            remedy="end the lab with netdojo lab stop --delete, and start it again",
        )


def _beside(container: Container, address: str) -> str:
    """The container's own address of the same family on the engine's network."""
    for own in container.addresses:
        if (":" in own) == (":" in address):
            return own
    raise InfrastructureError(
        f"the container {container.name} has no IPv{6 if ':' in address else 4} address",
        remedy="see that the engine's network named kind has that family: docker network inspect kind",
    )
