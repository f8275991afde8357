"""Services to EndpointSlices, and to the older Endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labs.sandbox.api.resources import suffix
from labs.sandbox.controllers.context import ENDPOINTS, SERVICES, SLICES, is_ready, reference

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.controllers.context import Context

_SERVICE = "kubernetes.io/service-name"
_MANAGER = "endpointslice.kubernetes.io/managed-by"
_CONTROLLER = "endpointslice-controller.k8s.io"
_MIRROR = "endpointslicemirroring-controller.k8s.io"

Ports = tuple[tuple[str, str, int], ...]
"""Name, protocol and number of each port of a slice."""


def reconcile(context: Context) -> None:
    """Write the slices and Endpoints of every Service with a selector, and mirror Endpoints made by hand."""
    for service in context.store.list(SERVICES.resource):
        if service["metadata"].get("deletionTimestamp") or service["spec"]["type"] == "ExternalName":
            continue
        if service["spec"].get("selector"):
            pods = _pods(context, service)
            _slices(context, service, pods)
            _endpoints(context, service, pods)
    for manual in context.store.list(ENDPOINTS.resource):
        _mirror(context, manual)


def _pods(context: Context, service: Manifest) -> list[Manifest]:
    selector = service["spec"]["selector"].items()
    return [
        pod
        for pod in context.store.list("pods", service["metadata"]["namespace"])
        if pod.get("status", {}).get("podIPs")
        and pod["status"].get("phase") not in {"Succeeded", "Failed"}
        and selector <= pod["metadata"].get("labels", {}).items()
    ]


def _resolved(service: Manifest, pod: Manifest) -> Ports:
    """The service's ports on this pod; a named port that the pod has not is left out."""
    made = []
    for port in service["spec"].get("ports", ()):
        number: Any = port["targetPort"]
        if isinstance(number, str):
            number = next(
                (
                    declared["containerPort"]
                    for container in pod["spec"]["containers"]
                    for declared in container.get("ports", ())
                    if declared.get("name") == number and declared["protocol"] == port["protocol"]
                ),
                0,
            )
        if number:
            made.append((port.get("name", ""), port["protocol"], int(number)))
    return tuple(made)


def _slices(context: Context, service: Manifest, pods: list[Manifest]) -> None:
    namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
    mine = [
        item
        for item in context.owned(SLICES, service)
        if item["metadata"].get("labels", {}).get(_MANAGER) == _CONTROLLER
    ]
    for family in service["spec"].get("ipFamilies", ("IPv4",)):
        groups: dict[Ports, list[Manifest]] = {}
        for pod in pods:
            endpoint = _endpoint(service, pod, family)
            ports = _resolved(service, pod)
            if endpoint:
                groups.setdefault(ports, []).append(endpoint)
        spare = [item for item in mine if item["addressType"] == family]
        for ports, endpoints in (groups or {(): []}).items():
            body = {"endpoints": endpoints, "ports": _ports(ports), "addressType": family}
            spare.sort(key=lambda item, wanted=body["ports"]: item["ports"] != wanted)  # type: ignore[misc]
            if not spare:
                labels = {**service["metadata"].get("labels", {}), _SERVICE: name, _MANAGER: _CONTROLLER}
                if service["spec"].get("clusterIP") == "None":
                    labels["service.kubernetes.io/headless"] = ""
                metadata = {
                    "name": f"{name[:57]}-{suffix()}",
                    "labels": labels,
                    "ownerReferences": [reference(service)],
                }
                context.resources.create(SLICES, namespace, {"metadata": metadata, **body})
                continue
            old = spare.pop(0)
            mine.remove(old)
            if any(old[key] != value for key, value in body.items()):
                metadata = {**old["metadata"], "generation": old["metadata"].get("generation", 1) + 1}
                context.store.put(SLICES.resource, {**old, **body, "metadata": metadata})
    for left in mine:
        context.delete(SLICES, left)


def _ports(ports: Ports) -> list[dict[str, Any]]:
    return [{"name": name, "protocol": protocol, "port": number} for name, protocol, number in ports]


def _endpoint(service: Manifest, pod: Manifest, family: str) -> Manifest:
    addresses = [item["ip"] for item in pod["status"]["podIPs"] if (":" in item["ip"]) == (family == "IPv6")]
    if not addresses:
        return {}
    ending = bool(pod["metadata"].get("deletionTimestamp"))
    serving = is_ready(pod)
    always = bool(service["spec"].get("publishNotReadyAddresses"))
    made: Manifest = {
        "addresses": addresses[:1],
        "conditions": {"ready": always or (serving and not ending), "serving": serving, "terminating": ending},
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": _target(pod),
    }
    if pod["spec"].get("hostname") and pod["spec"].get("subdomain") == service["metadata"]["name"]:
        made["hostname"] = pod["spec"]["hostname"]
    return made


def _target(pod: Manifest) -> Manifest:
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def _endpoints(context: Context, service: Manifest, pods: list[Manifest]) -> None:
    """The Endpoints object, of the first family."""
    namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
    family = service["spec"].get("ipFamilies", ("IPv4",))[0]
    groups: dict[Ports, Manifest] = {}
    for pod in pods:
        endpoint = _endpoint(service, pod, family)
        ports = _resolved(service, pod)
        if not endpoint or (service["spec"].get("ports") and not ports):
            continue
        subset = groups.setdefault(ports, {})
        address = {"ip": endpoint["addresses"][0], "nodeName": endpoint["nodeName"], "targetRef": endpoint["targetRef"]}
        if "hostname" in endpoint:
            address["hostname"] = endpoint["hostname"]
        ready = endpoint["conditions"]["ready"]
        subset.setdefault("addresses" if ready else "notReadyAddresses", []).append(address)
        if ports:
            subset["ports"] = [
                {"port": number, "protocol": protocol} | ({"name": port} if port else {})
                for port, protocol, number in ports
            ]
    subsets = list(groups.values())
    old = context.store.get(ENDPOINTS.resource, namespace, name)
    if old is None:
        labels = {**service["metadata"].get("labels", {}), "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
        if service["spec"].get("clusterIP") == "None":
            labels["service.kubernetes.io/headless"] = ""
        manifest: Manifest = {"metadata": {"name": name, "labels": labels}}
        if subsets:
            manifest["subsets"] = subsets
        context.resources.create(ENDPOINTS, namespace, manifest)
    elif old.get("subsets", []) != subsets:
        made = {key: value for key, value in old.items() if key != "subsets"}
        context.store.put(ENDPOINTS.resource, made | ({"subsets": subsets} if subsets else {}))


def _mirror(context: Context, manual: Manifest) -> None:
    """A slice for Endpoints that somebody made for a Service without a selector."""
    metadata = manual["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    labels = metadata.get("labels", {})
    service = context.store.get(SERVICES.resource, namespace, name)
    mine = [
        item for item in context.owned(SLICES, manual) if item["metadata"].get("labels", {}).get(_MANAGER) == _MIRROR
    ]
    skip = "endpointslice.kubernetes.io/skip-mirror" in labels or "endpoints.kubernetes.io/managed-by" in labels
    wanted: list[Manifest] = []
    if service is not None and not skip and not service["spec"].get("selector"):
        for subset in manual.get("subsets", ()):
            ports = [{"name": "", **port} for port in subset.get("ports", ())]
            for family in ("IPv4", "IPv6"):
                endpoints = [
                    {"addresses": [address["ip"]], "conditions": {"ready": ready}}
                    for field, ready in (("addresses", True), ("notReadyAddresses", False))
                    for address in subset.get(field, ())
                    if (":" in address["ip"]) == (family == "IPv6")
                ]
                if endpoints:
                    wanted.append({"addressType": family, "endpoints": endpoints, "ports": ports})
    if [{key: item[key] for key in ("addressType", "endpoints", "ports")} for item in mine] == wanted:
        return
    for item in mine:
        context.delete(SLICES, item)
    for body in wanted:
        metadata = {
            "name": f"{name[:57]}-{suffix()}",
            "labels": {_SERVICE: name, _MANAGER: _MIRROR},
            "ownerReferences": [reference(manual)],
        }
        context.resources.create(SLICES, namespace, {"metadata": metadata, **body})
