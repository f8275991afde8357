"""The names of endpoints to machines, namespaces, addresses and servers, from the objects of the cluster."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labs.kube.probing.talk import Speech

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grader.ports import Manifest

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_UID = re.compile(r"[0-9A-Za-z-]{1,64}")
_NETEXEC_IMAGE = re.compile(r"(?:agnhost|netexec)[^/]*")
_NETEXEC_PORTS = {"TCP": ("--http-port", 8080), "UDP": ("--udp-port", 8081), "SCTP": ("--sctp-port", 0)}
"""Netexec's options and their defaults."""
_HOST_PORTS = (80, 443)
"""What an outside host answers on, over TCP."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source's sockets are made.

    Attributes:
        machine: the name of a node, or `host:NAME`.
        uid: the pod whose network namespace it is; empty for the machine's own.
        addresses: of both families.
    """

    machine: str
    uid: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """One that may answer: what probes call it, what it calls itself, and what it speaks on the port in question."""

    name: str
    hostname: str
    speech: Speech
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where a probe goes, and who may answer there: nobody in particular for a plain address.

    Attributes:
        behind: addresses of the node that leads there, where outside hosts have to be told so: a pod's own node (any
            other would see half of the exchange, and drop it), some node for a Service.
    """

    addresses: tuple[str, ...]
    servers: tuple[Server, ...] = ()
    behind: tuple[str, ...] = ()

    @property
    def speech(self) -> Speech:
        """What all who may answer speak."""
        spoken = {server.speech for server in self.servers}
        return spoken.pop() if len(spoken) == 1 else Speech.UNKNOWN

    @property
    def may_be_mute(self) -> bool:
        """True when somebody listens there of whom nobody knows whether they answer a stranger's datagram."""
        return any(server.declared and server.speech is Speech.UNKNOWN for server in self.servers)


class Places:
    """What the objects say.

    Args:
        objects: pods, services and nodes as the API gives them; others are passed over.
        hosts: the outside hosts' addresses by name.
    """

    def __init__(self, objects: Iterable[Manifest], hosts: Mapping[str, Sequence[str]]) -> None:
        kinds: dict[str, list[Manifest]] = {"Pod": [], "Service": [], "Node": []}
        for one in objects:
            kinds.get(str(one.get("kind")), []).append(one)
        self._pods = {_ref(pod): pod for pod in kinds["Pod"]}
        self._services = {_ref(service): service for service in kinds["Service"]}
        self._nodes = {str(node["metadata"]["name"]): node for node in nodes_in_order(kinds["Node"])}
        self._hosts = hosts
        self._names = {host: f"host:{host}" for host in hosts}
        self._names |= {hostname(pod): ref for ref, pod in reversed(self._pods.items()) if not _ended(pod)}

    def source(self, name: str) -> Place:
        """Where a probe starts.

        Raises:
            LookupError: the words say why it cannot.
        """
        kind, _, rest = name.partition(":")
        if kind == "node":
            node = self._node(rest)
            return Place(str(node["metadata"]["name"]), "", _node_addresses(node))
        if kind == "host":
            return Place(name, "", self._host(rest))
        if kind in {"service", "ip"}:
            raise LookupError(f"{name} cannot be a source: it has no network namespace")
        pod = self._pod(name)
        machine = pod["spec"].get("nodeName")
        if not machine:
            raise LookupError(f"pod {name} is on no node yet")
        uid = "" if pod["spec"].get("hostNetwork") else str(pod["metadata"]["uid"])
        if uid and not _UID.fullmatch(uid):
            raise LookupError(f"pod {name} has no uid that could be looked for")
        return Place(str(machine), uid, _pod_addresses(pod))

    def target(self, name: str, port: int, protocol: str) -> Target:
        """Where a probe goes.

        Raises:
            LookupError: the words say why it cannot.
        """
        kind, _, rest = name.partition(":")
        match kind:
            case "ip":
                return Target((_address(rest),))
            case "node":
                servers = tuple(self._behind(self._by_node_port(port, protocol), port, protocol, "nodePort"))
                return Target(_node_addresses(self._node(rest)), servers)
            case "host":
                spoken = Speech.NETEXEC if protocol == "TCP" and port in _HOST_PORTS else Speech.UNKNOWN
                return Target(self._host(rest), (Server(name, rest, spoken),))
            case "service":
                service = self._services.get(rest)
                if service is None:
                    raise LookupError(f"there is no Service {rest}")
                servers = tuple(self._behind([service], port, protocol, "port"))
                return Target(_service_addresses(service), servers, self._way_in(next(iter(self._nodes), "")))
        pod = self._pod(name)
        node = "" if pod["spec"].get("hostNetwork") else str(pod["spec"].get("nodeName"))
        return Target(_pod_addresses(pod), (_server(pod, port, protocol),), self._way_in(node))

    def named(self, target: Target, called: str) -> str:
        """Who calls itself so, those first who may answer at the target; empty for a stranger."""
        expected = {server.hostname: server.name for server in reversed(target.servers)}
        return expected.get(called) or self._names.get(called, "")

    def _pod(self, name: str) -> Manifest:
        pod = self._pods.get(name)
        if pod is None:
            raise LookupError(f"there is no pod {name} now")
        if _ended(pod):
            raise LookupError(f"pod {name} has ended")
        return pod

    def _node(self, name: str) -> Manifest:
        node = self._nodes.get(name)
        if node is not None:
            return node
        found = re.fullmatch(r"node-([1-9][0-9]{0,3})", name)
        if found and int(found[1]) <= len(self._nodes):
            return list(self._nodes.values())[int(found[1]) - 1]
        raise LookupError(f"there is no node {name} (there are: {', '.join(self._nodes) or 'none'})")

    def _way_in(self, node: str) -> tuple[str, ...]:
        return _node_addresses(self._nodes[node]) if node in self._nodes else ()

    def _host(self, name: str) -> tuple[str, ...]:
        if name not in self._hosts:
            raise LookupError(f"there is no outside host {name} (there are: {', '.join(self._hosts) or 'none'})")
        return tuple(self._hosts[name])

    def _by_node_port(self, number: int, protocol: str) -> Iterator[Manifest]:
        for service in self._services.values():
            if any(_is_port(port, "nodePort", number, protocol) for port in _ports(service)):
                yield service

    def _behind(self, services: Iterable[Manifest], number: int, protocol: str, key: str) -> Iterator[Server]:
        """The pods that a Service's port leads to."""
        for service in services:
            selector = service["spec"].get("selector") or {}
            wanted = next((port for port in _ports(service) if _is_port(port, key, number, protocol)), None)
            if not selector or wanted is None:
                continue
            space = str(service["metadata"]["namespace"])
            for pod in self._pods.values():
                labels = pod["metadata"].get("labels") or {}
                if pod["metadata"]["namespace"] == space and not _ended(pod) and selector.items() <= labels.items():
                    target = wanted.get("targetPort") or wanted["port"]
                    yield _server(pod, _number(pod, target, protocol), protocol)


def nodes_in_order(nodes: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Nodes as `node-1`, `node-2`, … count them: the control plane first, then by name."""

    def order(node: Manifest) -> tuple[bool, str]:
        labels = node["metadata"].get("labels") or {}
        return _CONTROL_PLANE not in labels, str(node["metadata"]["name"])

    return tuple(sorted(nodes, key=order))


def hostname(pod: Manifest) -> str:
    """What a pod calls itself: at most 63 characters (kubelet cuts them so), the node's name in the node's network."""
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        return str(spec.get("nodeName", ""))
    return str(spec.get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def speech_of(pod: Manifest, port: int, protocol: str) -> Speech:
    """What a pod speaks on a port, by its containers' images and commands."""
    option, default = _NETEXEC_PORTS.get(protocol, ("", 0))
    for container in _containers(pod) if option else ():
        words = " ".join(str(word) for word in (*(container.get("command") or ()), *(container.get("args") or ())))
        image = str(container.get("image", "")).partition("@")[0].rpartition("/")[2]
        if not (_NETEXEC_IMAGE.fullmatch(image) and re.search(r"\bnetexec\b", words)):
            continue
        given = [int(found) for found in re.findall(rf"{option}[= ](-?[0-9]{{1,5}})\b", words)]
        if port in (given or [default]):
            return Speech.NETEXEC
    return Speech.DNS if port == 53 and protocol in {"TCP", "UDP"} else Speech.UNKNOWN


def _server(pod: Manifest, port: int, protocol: str) -> Server:
    declared = any(_is_port(one, "containerPort", port, protocol) for c in _containers(pod) for one in _ports_of(c))
    return Server(_ref(pod), hostname(pod), speech_of(pod, port, protocol), declared)


def _containers(pod: Manifest) -> Iterator[dict[str, Any]]:
    yield from pod["spec"].get("containers") or ()
    yield from pod["spec"].get("initContainers") or ()


def _ports_of(container: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    return container.get("ports") or ()


def _ports(service: Manifest) -> Sequence[dict[str, Any]]:
    return service["spec"].get("ports") or ()


def _is_port(port: Mapping[str, Any], key: str, number: int, protocol: str) -> bool:
    return port.get(key) == number and port.get("protocol", "TCP") == protocol


def _number(pod: Manifest, target: int | str, protocol: str) -> int:
    """The number of a Service's target port in a pod; 0 for a name that the pod does not have."""
    if isinstance(target, int):
        return target
    named = (one for container in _containers(pod) for one in _ports_of(container) if one.get("name") == target)
    return next((int(one["containerPort"]) for one in named if one.get("protocol", "TCP") == protocol), 0)


def _ref(one: Manifest) -> str:
    return f"{one['metadata'].get('namespace', '')}/{one['metadata']['name']}"


def _ended(pod: Manifest) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def _pod_addresses(pod: Manifest) -> tuple[str, ...]:
    status = pod.get("status") or {}
    given = [one.get("ip") for one in status.get("podIPs") or ()] or [status.get("podIP")]
    return _addresses(given)


def _node_addresses(node: Manifest) -> tuple[str, ...]:
    given = (node.get("status") or {}).get("addresses") or ()
    return _addresses(one.get("address") for one in given if one.get("type") == "InternalIP")


def _service_addresses(service: Manifest) -> tuple[str, ...]:
    spec = service["spec"]
    return _addresses(one for one in spec.get("clusterIPs") or [spec.get("clusterIP")] if one != "None")


def _addresses(given: Iterable[object]) -> tuple[str, ...]:
    return tuple(_address(str(one)) for one in given if one)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise LookupError(f"{text!r} is no address") from None
