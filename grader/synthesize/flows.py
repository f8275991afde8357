"""Required traffic as people write it: one arrow a line, in the notation of `reach explain`.

    front.shop -> database.shop:5432      # a comment
    front.shop, api.shop -> kube-system/coredns:53/udp
    192.0.2.0/24 -> front.shop:8080
    front.shop -> 203.0.113.0/24:443

Endpoints are workloads, pods, addresses or ranges. A Service's name means the pods behind it, at their own ports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from content.errors import BrokenContentError, Defect, UsageError
from grader.reachability.names import parse_target, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from grader.kube.model import Network
    from grader.reachability.world import World

_RANGE = re.compile(r"(?P<range>[0-9a-fA-F.:]+/[0-9]{1,3})(?::(?P<port>[0-9]{1,5})(?:/(?P<protocol>[A-Za-z]+))?)?\Z")
Ends = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Required:
    """Flows that must pass: each source to each destination, at one port. Exactly one of a side's two fields is given.

    Attributes:
        sources: pods.
        from_range: or a range of addresses.
        destinations: pods.
        to_range: or a range of addresses.
        port: of the destination.
        protocol: TCP, UDP or SCTP.
        line: where it is written.
    """

    sources: Ends
    from_range: Network | None
    destinations: Ends
    to_range: Network | None
    port: int
    protocol: str
    line: int = 0


def read_flows(text: str, world: World, file: Path) -> tuple[Required, ...]:
    """Return the flows of a text.

    Raises:
        BrokenContentError: every line that is no arrow, or names what the world does not have.
    """
    found: list[Required] = []
    defects: list[Defect] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        try:
            found += _arrow(line, world, number)
        except UsageError as error:
            defects.append(Defect(file, number, error.message, error.remedy))
    if defects:
        raise BrokenContentError(defects)
    return tuple(found)


def _arrow(line: str, world: World, number: int) -> Iterator[Required]:
    left, arrow, right = line.partition("->")
    if not arrow:
        raise UsageError(f"this is no arrow: {line[:60]!r}", remedy="write it as in: front.shop -> database.shop:5432")
    sources = [_source(text.strip(), world) for text in left.split(",")]
    for text in right.split(","):
        for destinations, to_range, port, protocol in _destination(text.strip(), world):
            for refs, from_range in sources:
                if not (refs or destinations):
                    raise UsageError("both ends are outside", remedy="policies judge pods: name one")
                yield Required(refs, from_range, destinations, to_range, port, protocol, number)


def _source(text: str, world: World) -> tuple[Ends, Network | None]:
    if network := _network(text):
        return (), network
    refs = resolve(world, text)
    if refs[0].startswith("ip:"):
        return (), ip_network(refs[0][3:])
    if refs[0].startswith("service:"):
        raise UsageError(f"{text} is a Service, which sends nothing", remedy="name the workload")
    return _pods(text, refs, world), None


def _destination(text: str, world: World) -> Iterator[tuple[Ends, Network | None, int, str]]:
    match = _RANGE.match(text)
    if match and (network := _network(match["range"])):
        if match["port"] is None:
            raise UsageError(f"{text} has no port", remedy=f"name one: {text}:443")
        target = parse_target(f"range:{match['port']}" + (f"/{match['protocol']}" if match["protocol"] else ""))
        yield (), network, target.port or 0, target.protocol
        return
    target = parse_target(text)
    if target.protocol == "ICMP":
        raise UsageError("NetworkPolicy says nothing about ping", remedy="leave it out")
    refs = resolve(world, target.name)
    if refs[0].startswith("service:"):
        yield from _behind(refs[0], target.port, target.protocol, world)
        return
    ports = {(target.port, target.protocol)} if target.port is not None else _declared(refs, world)
    if not ports:
        raise UsageError(f"{text} declares no port", remedy=f"name one: {text}:80")
    for port, protocol in sorted(ports):
        if refs[0].startswith("ip:"):
            yield (), ip_network(refs[0][3:]), port, protocol
        else:
            yield _pods(text, refs, world), None, port, protocol


def _behind(ref: str, port: int | None, protocol: str, world: World) -> Iterator[tuple[Ends, None, int, str]]:
    """The pods of a Service, by the ports that they themselves have."""
    service = world.endpoints.service(ref)
    wanted = [(port, protocol)] if port is not None else [(each.port, each.protocol) for each in service.ports]
    found: dict[tuple[int, str], list[str]] = {}
    for number, name in wanted:
        for backend in world.endpoints.backends(service):
            real = world.endpoints.target_port(service, backend, number, name)
            if real is not None:
                found.setdefault((real, name), []).append(backend.ref)
    if not found:
        raise UsageError(f"{ref} leads nowhere", remedy="check its selector and its ports")
    for (number, name), pods in sorted(found.items()):
        yield tuple(pods), None, number, name


def _declared(refs: Iterable[str], world: World) -> set[tuple[int, str]]:
    wanted = set(refs)
    return {(port.number, port.protocol) for pod in world.objects.pods if pod.ref in wanted for port in pod.ports}


def _pods(text: str, refs: Ends, world: World) -> Ends:
    for ref in refs:
        endpoint = world.endpoints.find(ref)
        if not endpoint.selectable:
            what = "uses its node's network" if endpoint.host_network else "is no pod"
            raise UsageError(f"{text} {what}: no NetworkPolicy can mean it", remedy="name its address, or leave it out")
    return refs


def _network(text: str) -> Network | None:
    if "/" not in text:
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
