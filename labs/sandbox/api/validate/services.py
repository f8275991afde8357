"""Service. Source: `ValidateService` in `pkg/apis/core/validation/validation.go`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from labs.sandbox.api.validate import common

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.api.status import FieldErrors

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


def service(errors: FieldErrors, manifest: Manifest) -> None:
    """Check a Service with its defaults."""
    spec = manifest["spec"]
    headless = spec.get("clusterIP") == "None" or spec.get("clusterIPs", [""])[0] == "None"
    if not spec.get("ports") and not headless and spec["type"] != "ExternalName":
        errors.required("spec.ports")
    if spec["type"] == "LoadBalancer" and headless:
        errors.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services")
    if spec["type"] == "NodePort" and headless:
        errors.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services")
    _external_name(errors, spec)
    _ports(errors, spec)
    common.labels(errors, "spec.selector", spec.get("selector", {}))
    common.enumeration(errors, "spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None"))
    common.enumeration(errors, "spec.type", spec["type"], _TYPES)
    for field in ("internalTrafficPolicy", "externalTrafficPolicy"):
        if field in spec:
            common.enumeration(errors, f"spec.{field}", spec[field], ("Cluster", "Local"))
    _cluster_addresses(errors, spec)
    for n, address in enumerate(spec.get("externalIPs", ())):
        for problem in common.address_problems(address):
            errors.invalid(f"spec.externalIPs[{n}]", address, problem)
    for n, cidr in enumerate(spec.get("loadBalancerSourceRanges", ())):
        for problem in common.cidr_problems(cidr.strip()):
            errors.invalid(f"spec.loadBalancerSourceRanges[{n}]", cidr, problem)


def service_update(errors: FieldErrors, new: Manifest, old: Manifest) -> None:
    """Check that a cluster address stays once it is given."""
    before, after = (manifest["spec"] for manifest in (old, new))
    if "ExternalName" in {before["type"], after["type"]}:
        return
    if before.get("clusterIPs", [""])[0] != after.get("clusterIPs", [""])[0]:
        errors.invalid("spec.clusterIPs[0]", after.get("clusterIPs"), "may not change once set")


def _external_name(errors: FieldErrors, spec: dict[str, Any]) -> None:
    if spec["type"] != "ExternalName":
        return
    name = spec.get("externalName", "").rstrip(".")
    if not name:
        errors.required("spec.externalName")
        return
    for problem in common.subdomain_problems(name):
        errors.invalid("spec.externalName", name, problem)
    if spec.get("clusterIPs"):
        errors.forbidden("spec.clusterIPs", "may not be set when `type` is 'ExternalName'")


def _ports(errors: FieldErrors, spec: dict[str, Any]) -> None:
    names: set[str] = set()
    seen: set[tuple[object, object]] = set()
    ports = spec.get("ports", ())
    for n, port in enumerate(ports):
        at = f"spec.ports[{n}]"
        name = port.get("name", "")
        if not name:
            if len(ports) > 1:
                errors.required(f"{at}.name")
        else:
            for problem in common.label_problems(name):
                errors.invalid(f"{at}.name", name, problem)
            if name in names:
                errors.duplicate(f"{at}.name", name)
            names.add(name)
        common.port_number(errors, f"{at}.port", port.get("port", 0))
        common.enumeration(errors, f"{at}.protocol", port["protocol"], common.PROTOCOLS)
        common.port_reference(errors, f"{at}.targetPort", port["targetPort"])
        if spec["type"] == "ClusterIP" and port.get("nodePort"):
            errors.forbidden(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'")
        key = (port["protocol"], port.get("port"))
        if key in seen:
            empty = {
                "Name": "",
                "Protocol": key[0],
                "AppProtocol": None,
                "Port": key[1],
                "TargetPort": 0,
                "NodePort": 0,
            }
            errors.duplicate(at, empty)
        seen.add(key)


def _cluster_addresses(errors: FieldErrors, spec: dict[str, Any]) -> None:
    addresses = spec.get("clusterIPs", [])
    if addresses and not spec.get("clusterIP"):
        errors.invalid("spec.clusterIPs", addresses, "must be empty when `clusterIP` is not specified")
    if "None" in addresses and len(addresses) > 1:
        errors.invalid("spec.clusterIPs", addresses, "'None' must be the first and only value")
        return
    for n, address in enumerate(addresses):
        if address != "None" and re.search(r"\S", address):
            for problem in common.address_problems(address):
                errors.invalid(f"spec.clusterIPs[{n}]", address, problem)
