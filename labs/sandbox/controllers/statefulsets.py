"""StatefulSets: numbered pods, made in order and replaced from the last to the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.sandbox.controllers import revisions
from labs.sandbox.controllers.context import PODS, STATEFUL_SETS, active, is_ready

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.controllers.context import Context


def reconcile(context: Context) -> None:
    """Create, replace and delete pods, and write every StatefulSet's status."""
    for stateful_set in context.store.list(STATEFUL_SETS.resource):
        if not stateful_set["metadata"].get("deletionTimestamp"):
            _one(context, stateful_set)


def _one(context: Context, stateful_set: Manifest) -> None:
    spec, name = stateful_set["spec"], stateful_set["metadata"]["name"]
    revision = revisions.current(context, stateful_set)
    pods = {_ordinal(pod, name): pod for pod in active(context.owned(PODS, stateful_set))}
    first = spec.get("ordinals", {}).get("start", 0)
    wanted = range(first, first + spec["replicas"])
    _create_missing(context, stateful_set, revision, [n for n in wanted if n not in pods], pods)
    for ordinal in sorted((n for n in pods if n not in wanted), reverse=True):
        context.delete(PODS, pods[ordinal])
        context.event(stateful_set, "SuccessfulDelete", f"delete Pod {name}-{ordinal} in StatefulSet {name} successful")
    update = spec["updateStrategy"]
    if update["type"] == "RollingUpdate" and all(n in pods for n in wanted):
        partition = update.get("rollingUpdate", {}).get("partition", 0)
        stale = [n for n in wanted if n >= partition and revisions.of(pods[n]) != revision]
        if stale:
            context.delete(PODS, pods[max(stale)])
    _status(context, stateful_set, revision)


def _ordinal(pod: Manifest, name: str) -> int:
    return int(pod["metadata"]["name"].removeprefix(f"{name}-"))


def _create_missing(
    context: Context, stateful_set: Manifest, revision: str, missing: list[int], pods: dict[int, Manifest]
) -> None:
    spec, name = stateful_set["spec"], stateful_set["metadata"]["name"]
    for ordinal in missing:
        if spec["podManagementPolicy"] == "OrderedReady" and not all(
            is_ready(pod) for n, pod in pods.items() if n < ordinal
        ):
            return
        labels = {
            "apps.kubernetes.io/pod-index": str(ordinal),
            "controller-revision-hash": revision,
            "statefulset.kubernetes.io/pod-name": f"{name}-{ordinal}",
        }
        identity = {"hostname": f"{name}-{ordinal}", "subdomain": spec.get("serviceName", "")}
        metadata = {"name": f"{name}-{ordinal}", "labels": labels}
        if not context.create_pod(stateful_set, spec["template"], metadata, identity):
            return
        if spec["podManagementPolicy"] == "OrderedReady":
            return


def _status(context: Context, stateful_set: Manifest, revision: str) -> None:
    pods = active(context.owned(PODS, stateful_set))
    ready = sum(is_ready(pod) for pod in pods)
    updated = sum(revisions.of(pod) == revision for pod in pods)
    before = stateful_set.get("status", {})
    done = updated == len(pods) == stateful_set["spec"]["replicas"]
    running = revision if done else before.get("currentRevision", revision)
    counts = {
        "readyReplicas": ready,
        "currentReplicas": sum(revisions.of(pod) == running for pod in pods),
        "updatedReplicas": updated,
    }
    context.resources.set_status(
        STATEFUL_SETS,
        stateful_set,
        {
            "replicas": len(pods),
            "availableReplicas": ready,
            "observedGeneration": stateful_set["metadata"]["generation"],
            "currentRevision": running,
            "updateRevision": revision,
            "collisionCount": 0,
            **{key: count for key, count in counts.items() if count},
        },
    )
