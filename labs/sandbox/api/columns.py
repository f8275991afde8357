"""What `kubectl get` shows of each kind. Source: k8s.io/kubernetes `pkg/printers/internalversion/printers.go`.

A column's function gets the object and the time in seconds since the epoch, and returns a cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import ages

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.ports import Manifest


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Those with a priority above 0 are for `-o wide` only."""

    name: str
    cell: Callable[[Manifest, float], Any]
    type: str = "string"
    priority: int = 0


def _name(manifest: Manifest, _now: float) -> str:
    name: str = manifest["metadata"]["name"]
    return name


def _age(manifest: Manifest, now: float) -> str:
    return ages.since(manifest["metadata"].get("creationTimestamp"), now)


def _at(*path: str, empty: Any = "<none>") -> Callable[[Manifest, float], Any]:  # noqa: ANN401 - a cell is any JSON value
    def cell(manifest: Manifest, _now: float) -> Any:  # noqa: ANN401 - likewise
        value: Any = manifest
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return empty if value is None or value == "" else value

    return cell


def _count(*path: str) -> Callable[[Manifest, float], int]:
    def cell(manifest: Manifest, _now: float) -> int:
        return len(_at(*path, empty=())(manifest, 0))

    return cell


def _selector(found: Manifest | None) -> str:
    """A label selector as one line."""
    if not found:
        return "<none>"
    parts = [f"{key}={value}" for key, value in sorted(found.get("matchLabels", {}).items())]
    for term in found.get("matchExpressions", ()):
        key, operator, values = term["key"], term["operator"], ",".join(sorted(term.get("values", ())))
        parts.append({"Exists": key, "DoesNotExist": f"!{key}"}.get(operator, f"{key} {operator.lower()} ({values})"))
    return ",".join(parts) or "<none>"


def _labels(found: Manifest | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((found or {}).items())) or "<none>"


NAME = Column("Name", _name)
AGE = Column("Age", _age)
NAME_AND_AGE = (NAME, AGE)


def _template(field: str) -> Callable[[Manifest, float], str]:
    def cell(manifest: Manifest, _now: float) -> str:
        return ",".join(container[field] for container in manifest["spec"]["template"]["spec"]["containers"])

    return cell


_CONTAINERS = Column("Containers", _template("name"), priority=1)
_IMAGES = Column("Images", _template("image"), priority=1)
_SELECTOR = Column("Selector", lambda m, _: _selector(m["spec"].get("selector")), priority=1)


def _status(field: str) -> Callable[[Manifest, float], int]:
    def cell(manifest: Manifest, _now: float) -> int:
        count: int = manifest.get("status", {}).get(field, 0)
        return count

    return cell


def _ready_of_wanted(manifest: Manifest, _now: float) -> str:
    return f"{manifest.get('status', {}).get('readyReplicas', 0)}/{manifest['spec'].get('replicas', 0)}"


CONFIG_MAP = (
    NAME,
    Column("Data", lambda m, _: len(m.get("data", ())) + len(m.get("binaryData", ())), "integer"),
    AGE,
)
SECRET = (NAME, Column("Type", _at("type")), Column("Data", _count("data"), "integer"), AGE)
NAMESPACE = (NAME, Column("Status", _at("status", "phase")), AGE)
NETWORK_POLICY = (NAME, Column("Pod-Selector", lambda m, _: _selector(m["spec"].get("podSelector"))), AGE)
DEPLOYMENT = (
    NAME, Column("Ready", _ready_of_wanted), Column("Up-to-date", _status("updatedReplicas"), "integer"),
    Column("Available", _status("availableReplicas"), "integer"), AGE, _CONTAINERS, _IMAGES, _SELECTOR,
)  # fmt: skip
REPLICA_SET = (
    NAME, Column("Desired", _at("spec", "replicas", empty=0), "integer"),
    Column("Current", _status("replicas"), "integer"), Column("Ready", _status("readyReplicas"), "integer"), AGE,
    _CONTAINERS, _IMAGES, _SELECTOR,
)  # fmt: skip
STATEFUL_SET = (NAME, Column("Ready", _ready_of_wanted), AGE, _CONTAINERS, _IMAGES)
DAEMON_SET = (
    NAME, Column("Desired", _status("desiredNumberScheduled"), "integer"),
    Column("Current", _status("currentNumberScheduled"), "integer"),
    Column("Ready", _status("numberReady"), "integer"),
    Column("Up-to-date", _status("updatedNumberScheduled"), "integer"),
    Column("Available", _status("numberAvailable"), "integer"),
    Column("Node Selector", lambda m, _: _labels(m["spec"]["template"]["spec"].get("nodeSelector"))), AGE,
    _CONTAINERS, _IMAGES, _SELECTOR,
)  # fmt: skip
CONTROLLER_REVISION = (
    NAME,
    Column("Controller", lambda m, _: _controller(m)),
    Column("Revision", _at("revision", empty=0), "integer"),
    AGE,
)


def _controller(manifest: Manifest) -> str:
    for owner in manifest["metadata"].get("ownerReferences", ()):
        if owner.get("controller"):
            group = owner["apiVersion"].partition("/")[0] if "/" in owner["apiVersion"] else ""
            return f"{owner['kind'].lower()}.{group}/{owner['name']}" if group else f"{owner['kind']}/{owner['name']}"
    return "<none>"


def _external_addresses(manifest: Manifest, _now: float) -> str:
    spec = manifest["spec"]
    external = ",".join(spec.get("externalIPs", ()))
    if spec["type"] == "ExternalName":
        return str(spec.get("externalName", "<none>"))
    if spec["type"] == "LoadBalancer":
        ingress = manifest.get("status", {}).get("loadBalancer", {}).get("ingress", ())
        given = ",".join(item.get("ip") or item.get("hostname", "") for item in ingress)
        return ",".join(filter(None, (given, external))) or "<pending>"
    return external or "<none>"


def _service_ports(manifest: Manifest, _now: float) -> str:
    def one(port: dict[str, Any]) -> str:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port['port']}{node}/{port['protocol']}"

    return ",".join(one(port) for port in manifest["spec"].get("ports", ())) or "<none>"


SERVICE = (
    NAME, Column("Type", _at("spec", "type")), Column("Cluster-IP", _at("spec", "clusterIP")),
    Column("External-IP", _external_addresses), Column("Port(s)", _service_ports), AGE,
    Column("Selector", lambda m, _: _labels(m["spec"].get("selector")), priority=1),
)  # fmt: skip


def _endpoint_list(manifest: Manifest, _now: float) -> str:
    shown: list[str] = []
    for subset in manifest.get("subsets", ()):
        addresses = [address["ip"] for address in subset.get("addresses", ())]
        ports = [port["port"] for port in subset.get("ports", ())]
        joined = [f"[{a}]:{p}" if ":" in a else f"{a}:{p}" for p in ports for a in addresses]
        shown += joined if ports else addresses
    return _shorten(shown, 3)


def _shorten(shown: list[str], most: int) -> str:
    if not shown:
        return "<none>"
    more = f" + {len(shown) - most} more..." if len(shown) > most else ""
    return ",".join(shown[:most]) + more


ENDPOINTS = (NAME, Column("Endpoints", _endpoint_list), AGE)
ENDPOINT_SLICE = (
    NAME, Column("AddressType", _at("addressType")),
    Column("Ports", lambda m, _: _slice_ports(m)),
    Column("Endpoints", lambda m, _: _slice_endpoints(m)), AGE,
)  # fmt: skip


def _slice_ports(manifest: Manifest) -> str:
    shown = [str(port.get("port") or port.get("name") or "*") for port in manifest.get("ports") or ()]
    return _shorten(shown, 3) if shown else "<unset>"


def _slice_endpoints(manifest: Manifest) -> str:
    shown = [address for endpoint in manifest.get("endpoints") or () for address in endpoint.get("addresses", ())]
    return _shorten(shown, 3) if shown else "<unset>"


def _pod_ready(manifest: Manifest, _now: float) -> str:
    statuses = manifest.get("status", {}).get("containerStatuses", ())
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{len(manifest['spec'].get('containers', ()))}"


def _pod_status(manifest: Manifest, _now: float) -> str:
    status = manifest.get("status", {})
    reason = status.get("reason") or status.get("phase", "")
    for container in status.get("containerStatuses", ()):
        state = container.get("state", {})
        for name in ("waiting", "terminated"):
            if state.get(name, {}).get("reason"):
                reason = state[name]["reason"]
    if manifest["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str(reason)


def _restarts(manifest: Manifest, _now: float) -> str:
    return str(sum(s.get("restartCount", 0) for s in manifest.get("status", {}).get("containerStatuses", ())))


POD = (
    NAME, Column("Ready", _pod_ready), Column("Status", _pod_status), Column("Restarts", _restarts), AGE,
    Column("IP", _at("status", "podIP"), priority=1), Column("Node", _at("spec", "nodeName"), priority=1),
    Column("Nominated Node", _at("status", "nominatedNodeName"), priority=1),
    Column("Readiness Gates", lambda _m, _: "<none>", priority=1),
)  # fmt: skip


def _node_status(manifest: Manifest, _now: float) -> str:
    conditions = {c["type"]: c["status"] for c in manifest.get("status", {}).get("conditions", ())}
    ready = {"True": "Ready", "False": "NotReady"}.get(conditions.get("Ready", ""), "Unknown")
    return ready + (",SchedulingDisabled" if manifest.get("spec", {}).get("unschedulable") else "")


def _node_roles(manifest: Manifest, _now: float) -> str:
    prefix = "node-role.kubernetes.io/"
    roles = [key.removeprefix(prefix) for key in manifest["metadata"].get("labels", ()) if key.startswith(prefix)]
    return ",".join(sorted(roles)) or "<none>"


def _node_address(kind: str) -> Callable[[Manifest, float], str]:
    def cell(manifest: Manifest, _now: float) -> str:
        found = manifest.get("status", {}).get("addresses", ())
        return next((address["address"] for address in found if address["type"] == kind), "<none>")

    return cell


NODE = (
    NAME, Column("Status", _node_status), Column("Roles", _node_roles), AGE,
    Column("Version", _at("status", "nodeInfo", "kubeletVersion", empty="<unknown>")),
    Column("Internal-IP", _node_address("InternalIP"), priority=1),
    Column("External-IP", _node_address("ExternalIP"), priority=1),
    Column("OS-Image", _at("status", "nodeInfo", "osImage", empty="<unknown>"), priority=1),
    Column("Kernel-Version", _at("status", "nodeInfo", "kernelVersion", empty="<unknown>"), priority=1),
    Column("Container-Runtime", _at("status", "nodeInfo", "containerRuntimeVersion", empty="<unknown>"), priority=1),
)  # fmt: skip


def _event_time(manifest: Manifest, field: str) -> str | None:
    found = manifest.get(field) or manifest.get("eventTime") or manifest["metadata"].get("creationTimestamp")
    return str(found) if found else None


def _involved(manifest: Manifest, _now: float) -> str:
    about = manifest.get("involvedObject", {})
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


EVENT = (
    Column("Last Seen", lambda m, now: ages.since(_event_time(m, "lastTimestamp"), now)),
    Column("Type", _at("type", empty="")), Column("Reason", _at("reason", empty="")), Column("Object", _involved),
    Column("Subobject", _at("involvedObject", "fieldPath", empty=""), priority=1),
    Column("Source", lambda m, _: m.get("source", {}).get("component", ""), priority=1),
    Column("Message", lambda m, _: str(m.get("message", "")).strip()),
    Column("First Seen", lambda m, now: ages.since(_event_time(m, "firstTimestamp"), now), priority=1),
    Column("Count", _at("count", empty=1), "integer", priority=1),
    Column("Name", _name, priority=1),
)  # fmt: skip
