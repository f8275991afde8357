"""ReplicaSets keep as many pods as they want."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.sandbox.controllers.context import PODS, REPLICA_SETS, active, is_ready

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.controllers.context import Context


def reconcile(context: Context) -> None:
    """Create and delete pods, and write every ReplicaSet's status."""
    for replica_set in context.store.list(REPLICA_SETS.resource):
        if not replica_set["metadata"].get("deletionTimestamp"):
            _one(context, replica_set)


def _one(context: Context, replica_set: Manifest) -> None:
    pods = active(context.claim(PODS, replica_set))
    spec, name = replica_set["spec"], replica_set["metadata"]["name"]
    missing = spec["replicas"] - len(pods)
    for _ in range(missing):
        if not context.create_pod(replica_set, spec["template"], {"generateName": f"{name}-"}):
            break
    for pod in sorted(pods, key=_keep_first)[spec["replicas"] :]:
        context.delete(PODS, pod)
        context.event(replica_set, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
    pods = active(context.owned(PODS, replica_set))
    ready = sum(is_ready(pod) for pod in pods)
    counts = {"fullyLabeledReplicas": len(pods), "readyReplicas": ready, "availableReplicas": ready}
    context.resources.set_status(
        REPLICA_SETS,
        replica_set,
        {
            "replicas": len(pods),
            "terminatingReplicas": 0,
            "observedGeneration": replica_set["metadata"]["generation"],
            **{key: count for key, count in counts.items() if count},
        },
    )


def _keep_first(pod: Manifest) -> tuple[bool, str, int]:
    """Ready and old pods are kept."""
    metadata = pod["metadata"]
    return (not is_ready(pod), metadata["creationTimestamp"], int(metadata["resourceVersion"]))
