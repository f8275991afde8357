"""DaemonSets: one pod on each node that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.sandbox.controllers import revisions, scheduler
from labs.sandbox.controllers.context import DAEMON_SETS, PODS, active, is_ready

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.controllers.context import Context

_TOLERATIONS = tuple(
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect}
    for key, effect in (
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    )
)


def reconcile(context: Context) -> None:
    """Create, replace and delete pods, and write every DaemonSet's status."""
    for daemon_set in context.store.list(DAEMON_SETS.resource):
        if not daemon_set["metadata"].get("deletionTimestamp"):
            _one(context, daemon_set)


def _one(context: Context, daemon_set: Manifest) -> None:
    spec, name = daemon_set["spec"], daemon_set["metadata"]["name"]
    revision = revisions.current(context, daemon_set, prefixed=False)
    template = spec["template"]
    tolerations = [*template["spec"].get("tolerations", ()), *_TOLERATIONS]
    trial = {"spec": {**template["spec"], "tolerations": tolerations}}
    nodes = context.store.list("nodes")
    wanted = {node["metadata"]["name"] for node in nodes if scheduler.fits(trial, node, cordon=False)}
    pods = {pod["spec"].get("nodeName", ""): pod for pod in active(context.owned(PODS, daemon_set))}
    for node in sorted(wanted - set(pods)):
        metadata = {"generateName": f"{name}-", "labels": {revisions.LABEL: revision, "pod-template-generation": "1"}}
        context.create_pod(daemon_set, template, metadata, {"nodeName": node, "tolerations": tolerations})
    for node, pod in pods.items():
        stale = spec["updateStrategy"]["type"] == "RollingUpdate" and revisions.of(pod) != revision
        if node not in wanted or stale:
            context.delete(PODS, pod)
    _status(context, daemon_set, revision, len(wanted))


def _status(context: Context, daemon_set: Manifest, revision: str, wanted: int) -> None:
    pods = active(context.owned(PODS, daemon_set))
    ready = sum(is_ready(pod) for pod in pods)
    counts = {
        "updatedNumberScheduled": sum(revisions.of(pod) == revision for pod in pods),
        "numberAvailable": ready,
        "numberUnavailable": wanted - ready,
    }
    context.resources.set_status(
        DAEMON_SETS,
        daemon_set,
        {
            "currentNumberScheduled": len(pods),
            "numberMisscheduled": 0,
            "desiredNumberScheduled": wanted,
            "numberReady": ready,
            "observedGeneration": daemon_set["metadata"]["generation"],
            **{key: count for key, count in counts.items() if count},
        },
    )
    metadata = daemon_set["metadata"]
    note = "deprecated.daemonset.template.generation"
    if note not in metadata.get("annotations", {}):
        now = context.store.get(DAEMON_SETS.resource, metadata["namespace"], metadata["name"])
        if now is not None:
            annotations = {**now["metadata"].get("annotations", {}), note: "1"}
            made = {**now, "metadata": {**now["metadata"], "annotations": annotations}}
            context.store.put(DAEMON_SETS.resource, made)
