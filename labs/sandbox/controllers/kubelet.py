"""Scheduled pods to the runtime, and what became of them to their status."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any

from grader.errors import InfrastructureError
from labs.sandbox.api import ages
from labs.sandbox.controllers.context import PODS
from labs.sandbox.runtime import ContainerSpec, PodSpec, ServedPort

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.ports import Manifest
    from labs.sandbox.controllers.addresses import PodAddresses
    from labs.sandbox.controllers.context import Context


def reconciler(addresses: PodAddresses) -> Callable[[Context], None]:
    """The controller, with the addresses that it gives out."""

    def reconcile(context: Context) -> None:
        """Stop what ends, start what is scheduled."""
        pods = context.store.list("pods")
        alive = {pod["metadata"]["uid"] for pod in pods if not pod["metadata"].get("deletionTimestamp")}
        for uid in [uid for uid in context.running if uid not in alive]:
            context.runtime.stop_pod(uid)
            addresses.give_back(uid)
            del context.running[uid]
        for pod in pods:
            if pod["metadata"].get("deletionTimestamp"):
                if not pod["metadata"].get("finalizers"):
                    context.store.remove("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
            elif pod["spec"].get("nodeName") and pod["metadata"]["uid"] not in context.running:
                _start(context, pod, addresses)

    return reconcile


def _start(context: Context, pod: Manifest, addresses: PodAddresses) -> None:
    metadata, spec = pod["metadata"], pod["spec"]
    node = context.store.get("nodes", "", spec["nodeName"])
    if node is None:
        return
    host = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    if spec.get("hostNetwork"):
        found: tuple[str, ...] = tuple(host)
    else:
        found = addresses.take(metadata["uid"], spec["nodeName"], node["spec"]["podCIDRs"])
        if not found:
            message = f"{spec['nodeName']} has no free pod address"
            _failed(context, pod, message)
            return
    try:
        context.runtime.start_pod(_pod_spec(context, pod, found))
    except InfrastructureError as error:
        addresses.give_back(metadata["uid"])
        _failed(context, pod, error.message)
        return
    context.running[metadata["uid"]] = f"{metadata['namespace']}/{metadata['name']}"
    context.resources.set_status(PODS, pod, _running(pod, host, found))
    for container in spec["containers"]:
        for reason, message in (
            ("Created", f"Container created: {container['name']}"),
            ("Started", f"Container started: {container['name']}"),
        ):
            context.event(pod, reason, message, source="kubelet")


def _pod_spec(context: Context, pod: Manifest, found: tuple[str, ...]) -> PodSpec:
    metadata, spec = pod["metadata"], pod["spec"]
    return PodSpec(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        node=spec["nodeName"],
        addresses=found,
        containers=tuple(
            ContainerSpec(
                name=container["name"],
                image=container["image"],
                ports=tuple(
                    ServedPort(port["containerPort"], port["protocol"], port.get("name", ""))
                    for port in container.get("ports", ())
                ),
                env=_environment(context, pod, container, found),
            )
            for container in spec["containers"]
        ),
        labels=metadata.get("labels", {}),
        host_network=bool(spec.get("hostNetwork")),
    )


def _environment(context: Context, pod: Manifest, container: Manifest, found: tuple[str, ...]) -> dict[str, str]:
    """The variables that have a value; what refers to something that is not there is left out."""
    namespace = pod["metadata"]["namespace"]
    made: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        for field, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if field in source:
                data = _data(context, resource, namespace, source[field].get("name", ""))
                made |= {source.get("prefix", "") + key: value for key, value in data.items()}
    for variable in container.get("env", ()):
        value = variable.get("value", "")
        origin = variable.get("valueFrom", {})
        if "fieldRef" in origin:
            value = _field(pod, origin["fieldRef"]["fieldPath"], found)
        for field, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            if field in origin:
                data = _data(context, resource, namespace, origin[field].get("name", ""))
                value = data.get(origin[field]["key"], "")
        made[variable["name"]] = value
    return made


def _data(context: Context, resource: str, namespace: str, name: str) -> dict[str, str]:
    found: dict[str, str] = (context.store.get(resource, namespace, name) or {}).get("data", {})
    if resource == "secrets":
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in found.items()}
    return found


def _field(pod: Manifest, path: str, found: tuple[str, ...]) -> str:
    if path in {"status.podIP", "status.podIPs"}:
        return ",".join(found) if path.endswith("s") else found[0]
    value: Any = pod
    name, _, key = path.partition("[")
    for part in name.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    if key:
        value = value.get(key.strip("]'\""), "") if isinstance(value, dict) else ""
    return value if isinstance(value, str) else ""


def _running(pod: Manifest, host: list[str], found: tuple[str, ...]) -> Manifest:
    now = ages.now_text()
    kept = [c for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled"]
    scheduled = kept or [{"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}]
    generation = pod["metadata"].get("generation", 1)
    names = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
    conditions = [{"type": name, "status": "True", "lastProbeTime": None, "lastTransitionTime": now} for name in names]
    return {
        **pod["status"],
        "phase": "Running",
        "observedGeneration": generation,
        "conditions": [{**condition, "observedGeneration": generation} for condition in (*conditions, *scheduled)],
        "hostIP": host[0],
        "hostIPs": [{"ip": address} for address in host],
        "podIP": found[0],
        "podIPs": [{"ip": address} for address in found],
        "startTime": now,
        "containerStatuses": [_container(container, now) for container in pod["spec"]["containers"]],
    }


def _container(container: Manifest, now: str) -> Manifest:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "containerID": f"netdojo://{secrets.token_hex(32)}",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": now}},
        "lastState": {},
    }


def _failed(context: Context, pod: Manifest, message: str) -> None:
    """The pod stays pending, and says why."""
    told = f"Failed to create pod sandbox: {message}"
    context.event(pod, "FailedCreatePodSandBox", told, kind="Warning", source="kubelet")
    waiting = {"waiting": {"reason": "ContainerCreating", "message": told}}
    statuses = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": False,
            "started": False,
            "restartCount": 0,
            "state": waiting,
            "lastState": {},
        }
        for container in pod["spec"]["containers"]
    ]
    context.resources.set_status(PODS, pod, {**pod["status"], "containerStatuses": statuses})
