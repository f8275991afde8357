"""What it means that something runs, object by object: empty when it does, else why it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from grader.ports import Manifest

HOPELESS = frozenset(
    {
        *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"),
        *("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"),
    }
)
"""Reasons of waiting containers that seldom go away by themselves."""


def node(manifest: Mapping[str, Any]) -> bool:
    """Whether a node is ready."""
    return _condition(manifest, "Ready").get("status") == "True"


def is_over(pod_manifest: Mapping[str, Any]) -> bool:
    """Whether a pod has ended: it will never be ready."""
    return (pod_manifest.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def pod(manifest: Mapping[str, Any]) -> str:
    """Why a pod is not ready; empty when it is, or when it has done its work."""
    status = manifest.get("status") or {}
    if manifest["metadata"].get("deletionTimestamp"):
        return "is being deleted"
    if status.get("phase") == "Succeeded" or _condition(manifest, "Ready").get("status") == "True":
        return ""
    for state in _waiting(manifest):
        if state.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
            return f"{state['reason']}: {state['message']}" if state.get("message") else str(state["reason"])
    scheduled = _condition(manifest, "PodScheduled")
    if scheduled.get("status") == "False":
        return f"{scheduled.get('reason', 'not scheduled')}: {scheduled.get('message', '')}"
    if status.get("phase") == "Failed":
        return f"failed: {status.get('message') or status.get('reason') or 'its containers ended'}"
    return f"{str(status.get('phase', 'Pending')).lower()}, not ready yet"


def is_hopeless(manifest: Mapping[str, Any]) -> bool:
    """Whether a pod waits for what seldom comes by itself."""
    return any(state.get("reason") in HOPELESS for state in _waiting(manifest))


def workload(manifest: Mapping[str, Any]) -> str:
    """Why a workload does not have all of its pods yet; empty when it has, or is of a kind that nobody waits for."""
    count = _COUNTS.get(str(manifest.get("kind")))
    if count is None:
        return ""
    status, spec = manifest.get("status") or {}, manifest.get("spec") or {}
    if int(status.get("observedGeneration", 0)) < int(manifest["metadata"].get("generation", 0)):
        return "its controller has not looked at it yet"
    have, want = count(spec, status)
    return "" if have == want else f"{have} of {want} pods are ready and up to date"


def _deployment(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[int, int]:
    want = int(spec.get("replicas", 1))
    have = min(int(status.get("updatedReplicas", 0)), int(status.get("availableReplicas", 0)))
    return (have if int(status.get("replicas", 0)) <= want else min(have, want - 1)), want


def _stateful(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[int, int]:
    want = int(spec.get("replicas", 1))
    have = int(status.get("readyReplicas", 0))
    return (have if status.get("currentRevision") == status.get("updateRevision") else min(have, want - 1)), want


def _daemon(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[int, int]:
    del spec
    want = int(status.get("desiredNumberScheduled", 0))
    return min(int(status.get("updatedNumberScheduled", 0)), int(status.get("numberAvailable", 0))), want


def _replicas(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[int, int]:
    return int(status.get("readyReplicas", 0)), int(spec.get("replicas", 1))


_COUNTS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[int, int]]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful,
    "DaemonSet": _daemon,
    "ReplicaSet": _replicas,
    "ReplicationController": _replicas,
}


def endpoints(service: Mapping[str, Any], pods: Iterable[Manifest], slices: Iterable[Manifest]) -> str:
    """Why the slices of a Service are not what its pods say; empty when they are, or when it selects none itself.

    `pods` and `slices` are those of its namespace. The rule is that of Kubernetes' endpointslice controller: ready pods
    that are not being deleted, all pods with an address where the Service publishes those that are not ready.
    """
    spec, name = service.get("spec") or {}, service["metadata"]["name"]
    selector = spec.get("selector")
    if not selector or spec.get("type") == "ExternalName":
        return ""
    families = {6 if family == "IPv6" else 4 for family in spec.get("ipFamilies") or ("IPv4",)}
    wanted = {
        address
        for item in pods
        if _selects(selector, item) and (spec.get("publishNotReadyAddresses") or pod(item) == "") and not is_over(item)
        if not item["metadata"].get("deletionTimestamp")
        for address in _addresses(item)
        if (6 if ":" in address else 4) in families
    }
    have = {
        address
        for item in slices
        if (item["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name
        for endpoint in item.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint.get("addresses") or ()
    }
    return "" if wanted == have else f"its endpoints are {_list(have)}, its pods {_list(wanted)}"


def _selects(selector: Mapping[str, str], item: Mapping[str, Any]) -> bool:
    labels = item["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _addresses(item: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry["ip"]) for entry in (item.get("status") or {}).get("podIPs") or ())


def _list(addresses: Iterable[str]) -> str:
    return ", ".join(sorted(addresses)) or "none"


def _condition(manifest: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return next((item for item in conditions if item.get("type") == kind), {})


def _waiting(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = manifest.get("status") or {}
    states = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return [state["waiting"] for item in states if (state := item.get("state") or {}).get("waiting")]
