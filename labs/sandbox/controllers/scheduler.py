"""Pods to nodes: spread in order, where selectors, required affinity and taints allow."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import ages
from labs.sandbox.api.validate.common import matches
from labs.sandbox.controllers.context import PODS

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.controllers.context import Context


def reconcile(context: Context) -> None:
    """Give each pod without a node the one with the fewest pods of users, the first of equals."""
    waiting = [
        pod
        for pod in context.store.list("pods")
        if not pod["spec"].get("nodeName") and not pod["metadata"].get("deletionTimestamp")
    ]
    if not waiting:
        return
    nodes = sorted(context.store.list("nodes"), key=lambda node: _natural(node["metadata"]["name"]))
    load: Counter[str] = Counter(
        pod["spec"].get("nodeName", "")
        for pod in context.store.list("pods")
        if pod["metadata"]["namespace"] != "kube-system"
    )
    for pod in sorted(waiting, key=lambda item: int(item["metadata"]["resourceVersion"])):
        fitting = [node["metadata"]["name"] for node in nodes if fits(pod, node)]
        if not fitting:
            _refuse(context, pod, nodes)
            continue
        chosen = min(fitting, key=lambda name: load[name])
        load[chosen] += pod["metadata"]["namespace"] != "kube-system"
        scheduled = {**pod, "spec": {**pod["spec"], "nodeName": chosen}}
        scheduled["status"] = {**pod["status"], "conditions": [_condition("True")]}
        context.store.put("pods", scheduled)
        ref = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        message = f"Successfully assigned {ref} to {chosen}"
        context.event(pod, "Scheduled", message, source="default-scheduler")


def fits(pod: Manifest, node: Manifest, *, cordon: bool = True) -> bool:
    """Whether a node takes a pod."""
    return _selected(pod, node) and _tolerated(pod, node) and not (cordon and node["spec"].get("unschedulable"))


def _selected(pod: Manifest, node: Manifest) -> bool:
    labels = node["metadata"].get("labels", {})
    spec = pod["spec"]
    if not matches({"matchLabels": spec.get("nodeSelector", {})}, labels):
        return False
    required = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(
        matches({"matchExpressions": term.get("matchExpressions", ())}, labels)
        for term in required.get("nodeSelectorTerms", ())
    )


def _tolerated(pod: Manifest, node: Manifest) -> bool:
    tolerations = pod["spec"].get("tolerations", ())
    return all(
        any(_tolerates(toleration, taint) for toleration in tolerations)
        for taint in node["spec"].get("taints", ())
        if taint["effect"] in {"NoSchedule", "NoExecute"}
    )


def _tolerates(toleration: dict[str, Any], taint: dict[str, Any]) -> bool:
    if toleration.get("effect") not in {None, taint["effect"]}:
        return False
    if toleration.get("key") is not None and toleration["key"] != taint["key"]:
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def _refuse(context: Context, pod: Manifest, nodes: list[Manifest]) -> None:
    reasons: Counter[str] = Counter()
    for node in nodes:
        if node["spec"].get("unschedulable"):
            reasons["node(s) were unschedulable"] += 1
        elif not _selected(pod, node):
            reasons["node(s) didn't match Pod's node affinity/selector"] += 1
        else:
            reasons["node(s) had untolerated taint(s)"] += 1
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    none = f"0/{len(nodes)} nodes are available"
    message = f"{none}: {told}. preemption: {none}: {len(nodes)} Preemption is not helpful for scheduling."
    context.event(pod, "FailedScheduling", message, kind="Warning", source="default-scheduler")
    old: Manifest = next((c for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled"), {})
    if old.get("message") != message:
        condition = {**_condition("False"), "reason": "Unschedulable", "message": message}
        context.resources.set_status(PODS, pod, {**pod["status"], "conditions": [condition]})


def _condition(status: str) -> Manifest:
    now = ages.now_text()
    return {"type": "PodScheduled", "status": status, "lastProbeTime": None, "lastTransitionTime": now}


def _natural(name: str) -> tuple[str, int]:
    """node-2 comes before node-10."""
    stem, _, number = name.rpartition("-")
    return (stem, int(number)) if number.isdigit() else (name, 0)
