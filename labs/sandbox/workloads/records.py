"""The cluster's names, worked out from its objects.

Source: the specification "Kubernetes DNS-Based Service Discovery" (kubernetes/dns, specification.md) and CoreDNS'
kubernetes plugin with `pods insecure`, as kubeadm sets it up.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grader.ports import Manifest

DOMAIN = "cluster.local"


@dataclass(frozen=True, slots=True)
class Srv:
    """A service record: where a named port is served."""

    port: int
    target: str


Value = str | Srv


@dataclass(frozen=True, slots=True)
class Found:
    """What a name has. `exists` tells NODATA from NXDOMAIN; `zone` whether the cluster is the one to say so."""

    values: tuple[Value, ...] = ()
    exists: bool = False
    zone: bool = False
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Records:
    """Names in lower case without the last dot, to their records by type (A, AAAA, SRV, PTR, CNAME)."""

    names: Mapping[str, Mapping[str, tuple[Value, ...]]] = field(default_factory=dict)
    namespaces: frozenset[str] = frozenset()

    def find(self, name: str, kind: str) -> Found:
        """What is known of a name; names compare without regard to case."""
        name = name.rstrip(".").lower()
        zone = name == DOMAIN or name.endswith("." + DOMAIN)
        known = self.names.get(name)
        if known is None:
            return self._pod(name, kind) if name.endswith(f".pod.{DOMAIN}") else Found(zone=zone)
        alias = known.get("CNAME", ())
        if alias and kind != "CNAME":
            return Found(exists=True, zone=zone, alias=str(alias[0]))
        values = tuple(v for each in known.values() for v in each) if kind == "ANY" else known.get(kind, ())
        return Found(values, exists=True, zone=zone)

    def _pod(self, name: str, kind: str) -> Found:
        """`10-0-0-1.<namespace>.pod.cluster.local`: the address is read off the name, whether a pod has it or not."""
        dashed, _, namespace = name.removesuffix(f".pod.{DOMAIN}").partition(".")
        address = _undashed(dashed)
        if namespace not in self.namespaces or not address:
            return Found(zone=True)
        return Found((address,) if kind in {_type_of(address), "ANY"} else (), exists=True, zone=True)


def _type_of(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def _undashed(text: str) -> str:
    for candidate in (text.replace("-", "."), text.replace("-", ":")):
        try:
            return str(ipaddress.ip_address(candidate))
        except ValueError:
            continue
    return ""


def dashed(address: str) -> str:
    """An address as a label of a name."""
    return address.replace(".", "-").replace(":", "-")


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """An address behind a headless Service."""

    address: str
    hostname: str
    ports: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.hostname or dashed(self.address)


class _Names:
    """Records under construction."""

    def __init__(self) -> None:
        self.names: dict[str, dict[str, dict[Value, None]]] = defaultdict(lambda: defaultdict(dict))

    def exists(self, name: str) -> None:
        """Make a name known (and those above it inside the cluster), with or without records."""
        while name.endswith(DOMAIN) and name not in self.names:
            self.names[name] = defaultdict(dict)
            if name == DOMAIN:
                break
            name = name.partition(".")[2]

    def add(self, name: str, kind: str, value: Value) -> None:
        self.exists(name)
        self.names[name][kind][value] = None

    def address(self, name: str, address: str) -> None:
        self.add(name, _type_of(address), address)

    def reverse(self, address: str, name: str) -> None:
        self.add(ipaddress.ip_address(address).reverse_pointer, "PTR", name)


def build(objects: Iterable[Manifest], hosts: Mapping[str, Sequence[str]] | None = None) -> Records:
    """The names of a snapshot.

    Args:
        objects: Services, EndpointSlices, Pods and Namespaces; others are passed over.
        hosts: outside hosts of the lab with their addresses; they answer by their plain names.

    Returns:
        all records. A Service without EndpointSlices gets its endpoints from its selector and the ready pods.
    """
    kinds: dict[str, list[Manifest]] = defaultdict(list)
    for one in objects:
        kinds[str(one.get("kind", ""))].append(one)
    names = _Names()
    namespaces = {str(one["metadata"]["name"]) for one in kinds["Namespace"]}
    namespaces |= {_namespace(one) for kind in ("Service", "Pod") for one in kinds[kind]}
    for namespace in namespaces:
        names.exists(f"{namespace}.svc.{DOMAIN}")
        names.exists(f"{namespace}.pod.{DOMAIN}")
    slices: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
    for one in kinds["EndpointSlice"]:
        owner = (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
        slices[_namespace(one), owner].append(one)
    for service in kinds["Service"]:
        _add_service(names, service, slices, kinds["Pod"])
    for host, addresses in (hosts or {}).items():
        for address in addresses:
            names.address(host.lower(), address)
    frozen = {name: {kind: tuple(values) for kind, values in by.items()} for name, by in names.names.items()}
    return Records(frozen, frozenset(namespaces))


def _namespace(one: Manifest) -> str:
    return str(one["metadata"].get("namespace") or "default")


def _add_service(
    names: _Names,
    service: Manifest,
    slices: Mapping[tuple[str, str], Sequence[Manifest]],
    pods: Sequence[Manifest],
) -> None:
    namespace, spec = _namespace(service), service.get("spec") or {}
    base = f"{service['metadata']['name']}.{namespace}.svc.{DOMAIN}"
    names.exists(base)
    if spec.get("type") == "ExternalName":
        names.add(base, "CNAME", str(spec.get("externalName", "")).rstrip(".").lower())
        return
    if spec.get("clusterIP") == "None":
        found = slices.get((namespace, service["metadata"]["name"]))
        endpoints = _from_slices(found, spec) if found else _from_pods(service, pods)
        for one in endpoints:
            target = f"{one.label}.{base}"
            names.address(base, one.address)
            names.address(target, one.address)
            names.reverse(one.address, target)
            for (port, protocol), number in one.ports.items():
                _add_port(names, base, port, protocol, Srv(number, target))
        return
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    for address in addresses:
        if address:
            names.address(base, str(address))
            names.reverse(str(address), base)
    for port in spec.get("ports") or ():
        _add_port(names, base, port.get("name", ""), port.get("protocol", "TCP"), Srv(int(port["port"]), base))


def _add_port(names: _Names, base: str, port: str, protocol: str, record: Srv) -> None:
    if port:
        names.add(f"_{port}._{protocol.lower()}.{base}", "SRV", record)
    names.add(base, "SRV", record)


def _from_slices(slices: Sequence[Manifest], spec: Mapping[str, Any]) -> Iterator[_Endpoint]:
    for one in slices:
        ports = {
            (str(port.get("name") or ""), str(port.get("protocol") or "TCP")): int(port["port"])
            for port in one.get("ports") or ()
            if port.get("port")
        }
        for endpoint in one.get("endpoints") or ():
            ready = (endpoint.get("conditions") or {}).get("ready")
            if ready is False and not spec.get("publishNotReadyAddresses"):
                continue
            for address in endpoint.get("addresses") or ():
                yield _Endpoint(str(address), str(endpoint.get("hostname") or ""), ports)


def _from_pods(service: Manifest, pods: Sequence[Manifest]) -> Iterator[_Endpoint]:
    spec = service.get("spec") or {}
    selector = spec.get("selector") or {}
    if not selector:
        return
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        same = _namespace(pod) == _namespace(service) and selector.items() <= labels.items()
        if same and (_is_ready(pod) or spec.get("publishNotReadyAddresses")):
            yield from _of_pod(service, pod)


def _of_pod(service: Manifest, pod: Manifest) -> Iterator[_Endpoint]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    named = spec.get("hostname", "") if spec.get("subdomain") == service["metadata"]["name"] else ""
    ports = {}
    for port in (service.get("spec") or {}).get("ports") or ():
        target = _target(pod, port)
        if target:
            ports[str(port.get("name") or ""), str(port.get("protocol") or "TCP")] = target
    for one in status.get("podIPs") or ():
        yield _Endpoint(str(one["ip"]), str(named), ports)


def _target(pod: Manifest, port: Mapping[str, Any]) -> int:
    wanted = port.get("targetPort", port["port"])
    if isinstance(wanted, int) or str(wanted).isdigit():
        return int(wanted)
    for container in (pod.get("spec") or {}).get("containers") or ():
        for declared in container.get("ports") or ():
            if declared.get("name") == wanted:
                return int(declared["containerPort"])
    return 0


def _is_ready(pod: Manifest) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
