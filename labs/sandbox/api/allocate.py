"""Cluster addresses and node ports for Services, as the API server hands them out.

Addresses follow from a Service's namespace and name, so the same lab has the same addresses every time.
Source of the rules: k8s.io/kubernetes `pkg/registry/core/service/storage/alloc.go`.
"""

from __future__ import annotations

import ipaddress
import zlib
from typing import TYPE_CHECKING

from labs.sandbox.api.validate.common import address_problems

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.api.status import FieldErrors
    from labs.sandbox.store import Store

RANGES = {"IPv4": ipaddress.ip_network("10.96.0.0/12"), "IPv6": ipaddress.ip_network("fd00:10:96::/112")}
NODE_PORTS = range(30000, 32768)
_KEPT_FOR_FIXED = 256
"""The first addresses of a range are for those who name one (`kubernetes`, `kube-dns`)."""


class Allocator:
    """Hands out what no Service in the store has yet."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def families(self) -> tuple[str, ...]:
        """The families of the cluster's pods, as its nodes say; the first is what a Service gets that asks for none."""
        nodes = self._store.list("nodes")
        ranges = nodes[0].get("spec", {}).get("podCIDRs", ()) if nodes else ()
        return tuple("IPv6" if ":" in cidr else "IPv4" for cidr in ranges) or ("IPv4",)

    def fill(self, service: Manifest, errors: FieldErrors, *, before: Manifest | None = None) -> None:
        """Give a Service its families, cluster addresses and node ports; what is wrong is added to `errors`."""
        spec = service["spec"]
        _drop_old(spec, before["spec"] if before else {})
        if spec["type"] == "ExternalName":
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                if before:
                    spec.pop(field, None)
        else:
            self._keep(spec, before)
            self._families(spec, errors)
            if not errors.found:
                self._addresses(service, errors, before)
        self._node_ports(service, errors, before)

    def _keep(self, spec: Manifest, before: Manifest | None) -> None:
        """A change that says nothing of the address keeps it."""
        old = before["spec"] if before else {}
        if "clusterIP" not in spec and "clusterIPs" not in spec:
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                if field in old:
                    spec.setdefault(field, old[field])
        if spec.get("clusterIP") and (
            not spec.get("clusterIPs") or spec["clusterIP"] != old.get("clusterIP", spec["clusterIP"])
        ):
            spec["clusterIPs"] = [spec["clusterIP"], *spec.get("clusterIPs", [])[1:]]

    def _families(self, spec: Manifest, errors: FieldErrors) -> None:
        given = [f"IPv{6 if ':' in address else 4}" for address in spec.get("clusterIPs", ()) if address != "None"]
        for n, family in enumerate(given):
            if family not in self.families:
                errors.invalid(
                    f"spec.clusterIPs[{n}]", spec["clusterIPs"], f"{family} is not configured on this cluster"
                )
        for n, family in enumerate(spec.get("ipFamilies", ())):
            if family not in {"IPv4", "IPv6"}:
                errors.unsupported(f"spec.ipFamilies[{n}]", family, ("IPv4", "IPv6"))
            elif family not in self.families:
                errors.invalid(f"spec.ipFamilies[{n}]", family, "not configured on this cluster")
        wanted = spec.get("ipFamilies") or given
        headless = spec.get("clusterIP") == "None" and not spec.get("selector")
        if headless and not wanted and "ipFamilyPolicy" not in spec:
            # whose endpoints are made by hand may have both, whatever the cluster's own are
            spec["ipFamilyPolicy"], spec["ipFamilies"] = "RequireDualStack", ["IPv4", "IPv6"]
            return
        policy = spec.get("ipFamilyPolicy") or ("RequireDualStack" if len(wanted) > 1 else "SingleStack")
        if policy not in {"SingleStack", "PreferDualStack", "RequireDualStack"}:
            errors.unsupported("spec.ipFamilyPolicy", policy, ("SingleStack", "PreferDualStack", "RequireDualStack"))
        if policy == "RequireDualStack" and len(self.families) < 2:
            errors.invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services")
        if policy != "SingleStack":
            wanted = [*wanted, *(family for family in self.families if family not in wanted)]
        spec["ipFamilyPolicy"] = policy
        spec["ipFamilies"] = list(wanted or self.families[:1])

    def _addresses(self, service: Manifest, errors: FieldErrors, before: Manifest | None) -> None:
        spec, metadata = service["spec"], service["metadata"]
        key = (metadata.get("namespace", ""), metadata.get("name", ""))
        given = list(spec.get("clusterIPs", ()))
        if any(address != "None" and address_problems(address) for address in given):
            return  # validation says what is wrong
        if given[:1] == ["None"]:
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
            return
        mine = set(before["spec"].get("clusterIPs", ())) if before else set()
        taken = {
            address
            for other in self._store.list("services")
            if (other["metadata"].get("namespace", ""), other["metadata"]["name"]) != key
            for address in other["spec"].get("clusterIPs", ())
        }
        for address in given:
            if address in mine:
                continue
            if ipaddress.ip_address(address) not in RANGES[f"IPv{6 if ':' in address else 4}"]:
                detail = f"failed to allocate IP {address}: the provided network does not match the current range"
                errors.invalid("spec.clusterIPs", given, detail)
            elif address in taken:
                errors.invalid(
                    "spec.clusterIPs", given, f"failed to allocate IP {address}: provided IP is already allocated"
                )
        have = {f"IPv{6 if ':' in address else 4}" for address in given}
        given += [self._free(family, "/".join(key), taken) for family in spec["ipFamilies"] if family not in have]
        spec["clusterIPs"] = given[: len(spec["ipFamilies"])]
        spec["clusterIP"] = given[0]

    def _free(self, family: str, name: str, taken: set[str]) -> str:
        network = RANGES[family]
        size = min(network.num_addresses, 1 << 20) - _KEPT_FOR_FIXED - 1
        start = zlib.crc32(name.encode())
        for step in range(size):
            address = str(network[_KEPT_FOR_FIXED + (start + step) % size])
            if address not in taken:
                return address
        raise AssertionError("a million Services")  # pragma: no cover - the store would be full long before

    def _node_ports(self, service: Manifest, errors: FieldErrors, before: Manifest | None) -> None:
        spec = service["spec"]
        needs = spec["type"] == "NodePort" or (
            spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
        )
        mine = service["metadata"].get("name"), service["metadata"].get("namespace")
        taken = {
            (port["protocol"], port["nodePort"])
            for other in self._store.list("services")
            if (other["metadata"]["name"], other["metadata"].get("namespace")) != mine
            for port in other["spec"].get("ports", ())
            if port.get("nodePort")
        }
        old = {
            (port["port"], port["protocol"]): port["nodePort"]
            for port in (before["spec"].get("ports", ()) if before else ())
            if port.get("nodePort")
        }
        for n, port in enumerate(spec.get("ports", ())):
            if spec["type"] in {"ClusterIP", "ExternalName"}:
                if before and before["spec"]["type"] != spec["type"]:
                    port.pop("nodePort", None)
                continue
            number = port.get("nodePort") or (old.get((port["port"], port["protocol"])) if needs else None)
            if number:
                if number not in NODE_PORTS:
                    detail = "provided port is not in the valid range. The range of valid ports is 30000-32767"
                    errors.invalid(f"spec.ports[{n}].nodePort", number, detail)
                elif (port["protocol"], number) in taken:
                    errors.invalid(f"spec.ports[{n}].nodePort", number, "provided port is already allocated")
            elif needs:
                number = self._free_node_port(port, mine, taken)
            if number:
                port["nodePort"] = number
                taken.add((port["protocol"], number))

    @staticmethod
    def _free_node_port(port: Manifest, mine: tuple[object, object], taken: set[tuple[str, int]]) -> int:
        start = zlib.crc32(f"{mine}/{port['port']}".encode())
        numbers = (NODE_PORTS[(start + step) % len(NODE_PORTS)] for step in range(len(NODE_PORTS)))
        return next((number for number in numbers if (port["protocol"], number) not in taken), 0)


def _drop_old(spec: Manifest, old: Manifest) -> None:
    """What the type had before does not outlive a change of type (unless it was changed as well)."""
    if old.get("type", spec["type"]) == spec["type"]:
        return
    keeps = {
        "externalTrafficPolicy": spec["type"] in {"NodePort", "LoadBalancer"} or bool(spec.get("externalIPs")),
        "internalTrafficPolicy": spec["type"] != "ExternalName",
        "allocateLoadBalancerNodePorts": spec["type"] == "LoadBalancer",
    }
    for field, kept in keeps.items():
        if not kept and spec.get(field) == old.get(field):
            spec.pop(field, None)
