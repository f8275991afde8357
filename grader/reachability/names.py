"""What people type for an endpoint, to the names that flows use.

shop/web-7d9f-x2     a pod, or every pod of the workload shop/web
web, web.shop        a workload or pod, or else a Service, by name; the namespace may be left out where it is clear
service:shop/web     a Service          node:node-1    a node
host:bastion         an outside host    ip:10.0.0.1    an address (a bare address means the same)
outside              an outside host that only rules for every address mean
https://shop.example/cart                a request by host and path, through what Ingresses and routes serve it
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from typing import TYPE_CHECKING

from content.errors import UsageError
from grader.kube.fields import PROTOCOLS
from grader.reachability.matrix import Column
from grader.reachability.requests import is_url, parse_request

if TYPE_CHECKING:
    from grader.reachability.world import World

OUTSIDE_NAME = "outside"
_PREFIXES = ("ip:", "node:", "host:")
_PORT = re.compile(r"(?P<name>.*?):(?P<port>[0-9]{1,6}|icmp)(?:/(?P<protocol>[A-Za-z]+))?\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """A destination as typed: the name, and the port where one was given."""

    name: str
    port: int | None = None
    protocol: str = "TCP"


def parse_target(text: str) -> Target:
    """Split `DST[:PORT[/PROTO]]`; an IPv6 address with a port stands in brackets.

    Raises:
        UsageError: a port or protocol that is none, or no address of a request.
    """
    if is_url(text):
        request = parse_request(text)
        return Target(str(request), request.port)
    bare = text.removeprefix("ip:")
    if bare.startswith("["):
        address, _, rest = bare[1:].partition("]")
        name, match = f"ip:{address}", _PORT.match(rest)
        if rest and (match is None or match["name"]):
            raise UsageError(f"{rest} behind an address is no port", remedy="write it as in [2001:db8::1]:443")
    elif _is_address(bare):
        return Target(f"ip:{bare}")
    else:
        match = _PORT.match(text)
        name = match["name"] if match else text
    if match is None:
        return Target(name)
    if match["port"] == "icmp":
        return Target(name, 0, "ICMP")
    port, protocol = int(match["port"]), (match["protocol"] or "TCP").upper()
    if not 1 <= port <= 65535:
        raise UsageError(f"{port} is no port", remedy="a port is a number from 1 to 65535, or icmp")
    if protocol not in PROTOCOLS:
        raise UsageError(f"{match['protocol']} is no protocol", remedy="use tcp, udp or sctp; :icmp has no number")
    return Target(name, port, protocol)


def resolve(world: World, text: str) -> tuple[str, ...]:
    """Return the endpoints that a text means: one, or every pod of a workload.

    Raises:
        UsageError: nothing is called so, or several things are.
    """
    if text.startswith(_PREFIXES):
        return (world.endpoints.canonical(text),)
    if text.startswith("service:"):
        return (_service(world, text.removeprefix("service:")),)
    if is_url(text):
        return (str(parse_request(text)),)
    if _is_address(text):
        return (world.endpoints.canonical(f"ip:{text}"),)
    found = _pods(world, text)
    if len(found) > 1:
        choices = ", ".join(f"{name}.{namespace}" for namespace, name in sorted(found))
        raise UsageError(f"{text} could be any of {choices}", remedy="add the namespace")
    if found:
        return tuple(next(iter(found.values())))
    outside = text == OUTSIDE_NAME and not any(each.name == text for each in world.endpoints.services.values())
    return (f"host:{text}",) if outside else (_service(world, text),)


def _pods(world: World, text: str) -> dict[tuple[str, str], list[str]]:
    """Pods by the namespace and name of what is called so."""
    found: dict[tuple[str, str], list[str]] = {}
    for namespace, name in _readings(text):
        for pod in world.objects.pods:
            if not pod.finished and namespace in ("", pod.namespace) and name in (pod.name, pod.owner):
                found.setdefault((pod.namespace, name), []).append(pod.ref)
        if found:
            break
    return found


def columns(world: World, target: Target) -> tuple[Column, ...]:
    """Return a column for each endpoint and port of a target; without a port, every port that is declared.

    Raises:
        UsageError: nothing is called so, or no port is given where none is declared.
    """
    refs = resolve(world, target.name)
    if target.port is not None:
        return tuple(Column(ref, target.port, target.protocol) for ref in refs)
    found = tuple(column for ref in refs for column in _declared(world, ref))
    if not found:
        raise UsageError(f"{target.name} declares no port", remedy=f"name one: {target.name}:80, or :icmp")
    return found


def _declared(world: World, ref: str) -> tuple[Column, ...]:
    if ref.startswith("service:"):
        return tuple(Column(ref, port.port, port.protocol) for port in world.endpoints.service(ref).ports)
    ports = {(e.number, e.protocol) for pod in world.objects.pods if pod.ref == ref for e in pod.ports}
    return tuple(Column(ref, number, protocol) for number, protocol in sorted(ports))


def _readings(text: str) -> list[tuple[str, str]]:
    """Namespace (empty: any) and name, the likeliest reading first."""
    if "/" in text:
        namespace, _, name = text.partition("/")
        return [(namespace, name)]
    readings = [("", text)]
    if "." in text:
        name, _, namespace = text.rpartition(".")
        readings.append((namespace, name))
    return readings


def _service(world: World, text: str) -> str:
    found = sorted(
        ref
        for ref, service in world.endpoints.services.items()
        if any(name == service.name and namespace in ("", service.namespace) for namespace, name in _readings(text))
    )
    if len(found) == 1:
        return f"service:{found[0]}"
    if found:
        raise UsageError(f"{text} could be any of the Services {', '.join(found)}", remedy="add the namespace")
    known = {pod.owner for pod in world.objects.pods} | {f"{p.namespace}/{p.owner}" for p in world.objects.pods}
    close = get_close_matches(text, sorted(known), n=3)
    remedy = f"did you mean {' or '.join(close)}?" if close else "names are as in: web, web.shop, shop/web, ip:10.0.0.1"
    raise UsageError(f"there is no pod, workload or Service {text}", remedy=remedy)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
