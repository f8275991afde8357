"""Deployments: one ReplicaSet for each template, and the way from one to the next."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from labs.sandbox.api import ages
from labs.sandbox.controllers.context import DEPLOYMENTS, REPLICA_SETS, reference
from labs.sandbox.controllers.names import template_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.ports import Manifest
    from labs.sandbox.controllers.context import Context

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


def reconcile(context: Context) -> None:
    """Roll every Deployment towards its template, and write its status."""
    for deployment in context.store.list(DEPLOYMENTS.resource):
        if not deployment["metadata"].get("deletionTimestamp"):
            _one(context, deployment)


def _one(context: Context, deployment: Manifest) -> None:
    spec = deployment["spec"]
    sets = context.claim(REPLICA_SETS, deployment)
    current = next((item for item in sets if _template(item) == spec["template"]), None)
    if not spec.get("paused"):
        current = _create(context, deployment, sets) if current is None else _newest(context, deployment, current, sets)
        deployment = _note_revision(context, deployment, current)
        _roll(context, deployment, current, [item for item in sets if not _is(item, current)])
        _forget(context, deployment, current)
    elif current is not None:
        _scale(context, deployment, current, spec["replicas"])
    _status(context, deployment, current)


def _is(one: Manifest, other: Manifest) -> bool:
    return bool(one["metadata"]["uid"] == other["metadata"]["uid"])


def _template(replica_set: Manifest) -> Manifest:
    """A ReplicaSet's template as the Deployment wrote it."""
    template: Manifest = copy.deepcopy(replica_set["spec"]["template"])
    template["metadata"].get("labels", {}).pop(_HASH, None)
    return template


def _revision(replica_set: Manifest) -> int:
    return int(replica_set["metadata"].get("annotations", {}).get(_REVISION, "0"))


def _create(context: Context, deployment: Manifest, sets: Iterable[Manifest]) -> Manifest:
    spec, metadata = deployment["spec"], deployment["metadata"]
    template = copy.deepcopy(spec["template"])
    digest = template_hash(template)
    labels = template["metadata"].setdefault("labels", {})
    labels[_HASH] = digest
    selector = copy.deepcopy(spec["selector"])
    selector.setdefault("matchLabels", {})[_HASH] = digest
    number = max((_revision(item) for item in sets), default=0) + 1
    body: Manifest = {
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "labels": dict(labels),
            "annotations": {**_own_annotations(deployment), _REVISION: str(number)},
            "ownerReferences": [reference(deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    }
    if "minReadySeconds" in spec:
        body["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return context.resources.create(REPLICA_SETS, metadata["namespace"], body).object


def _own_annotations(deployment: Manifest) -> dict[str, str]:
    skipped = {"kubectl.kubernetes.io/last-applied-configuration", _REVISION}
    found = deployment["metadata"].get("annotations", {})
    return {key: value for key, value in found.items() if key not in skipped}


def _annotate(context: Context, replica_set: Manifest, **values: str) -> Manifest:
    metadata = replica_set["metadata"]
    annotations = {**metadata.get("annotations", {}), **values}
    if annotations == metadata.get("annotations", {}):
        return replica_set
    made = {**replica_set, "metadata": {**metadata, "annotations": annotations}}
    return context.store.put(REPLICA_SETS.resource, made)


def _newest(context: Context, deployment: Manifest, current: Manifest, sets: Iterable[Manifest]) -> Manifest:
    """The Deployment's notes are its ReplicaSet's too; an old template that is wanted again is the newest revision."""
    newest = max(_revision(item) for item in sets)
    number = newest if _revision(current) == newest else newest + 1
    return _annotate(context, current, **{**_own_annotations(deployment), _REVISION: str(number)})


def _note_revision(context: Context, deployment: Manifest, current: Manifest) -> Manifest:
    metadata, number = deployment["metadata"], current["metadata"]["annotations"][_REVISION]
    if metadata.get("annotations", {}).get(_REVISION) == number:
        return deployment
    annotations = {**metadata.get("annotations", {}), _REVISION: number}
    return context.store.put(DEPLOYMENTS.resource, {**deployment, "metadata": {**metadata, "annotations": annotations}})


def _roll(context: Context, deployment: Manifest, current: Manifest, old: list[Manifest]) -> None:
    """New pods first, and old ones go as new ones are ready; `Recreate` has the old ones go before."""
    wanted = deployment["spec"]["replicas"]
    running = [item for item in old if item["spec"]["replicas"] or item.get("status", {}).get("replicas")]
    if deployment["spec"]["strategy"]["type"] == "Recreate" and running:
        for item in running:
            _scale(context, deployment, item, 0)
        return
    _scale(context, deployment, current, wanted)
    ready = current.get("status", {}).get("readyReplicas", 0)
    left = max(wanted - ready, 0)
    for item in sorted(running, key=_revision):
        kept = min(item["spec"]["replicas"], left)
        _scale(context, deployment, item, kept)
        left -= kept


def _scale(context: Context, deployment: Manifest, replica_set: Manifest, replicas: int) -> None:
    now = context.store.get(
        REPLICA_SETS.resource, replica_set["metadata"]["namespace"], replica_set["metadata"]["name"]
    )
    if now is None or now["spec"]["replicas"] == replicas:
        return
    metadata = {**now["metadata"], "generation": now["metadata"]["generation"] + 1}
    context.store.put(
        REPLICA_SETS.resource, {**now, "metadata": metadata, "spec": {**now["spec"], "replicas": replicas}}
    )
    before = now["spec"]["replicas"]
    how = "up" if replicas > before else "down"
    message = f"Scaled {how} replica set {metadata['name']} from {before} to {replicas}"
    context.event(deployment, "ScalingReplicaSet", message)


def _forget(context: Context, deployment: Manifest, current: Manifest) -> None:
    """Old ReplicaSets beyond the history's limit go."""
    old = [
        item
        for item in context.owned(REPLICA_SETS, deployment)
        if not _is(item, current) and not item["spec"]["replicas"] and not item.get("status", {}).get("replicas")
    ]
    limit = deployment["spec"]["revisionHistoryLimit"]
    for item in sorted(old, key=_revision)[: max(len(old) - limit, 0)]:
        context.delete(REPLICA_SETS, item)


def _status(context: Context, deployment: Manifest, current: Manifest | None) -> None:
    sets = context.owned(REPLICA_SETS, deployment)
    total = sum(item.get("status", {}).get("replicas", 0) for item in sets)
    ready = sum(item.get("status", {}).get("readyReplicas", 0) for item in sets)
    updated = 0
    if current is not None:
        now = context.store.get(REPLICA_SETS.resource, current["metadata"]["namespace"], current["metadata"]["name"])
        updated = (now or {}).get("status", {}).get("replicas", 0)
    wanted = deployment["spec"]["replicas"]
    counts = {
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(wanted - ready, 0),
    }
    old = {c["type"]: c for c in deployment.get("status", {}).get("conditions", ())}
    done = ready >= wanted and updated >= wanted and total == updated
    available = ready >= wanted - _may_miss(deployment)
    conditions = [
        _condition(
            old,
            "Available",
            "True" if available else "False",
            "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
            f"Deployment {'has' if available else 'does not have'} minimum availability.",
        )
    ]
    if current is not None:
        name = current["metadata"]["name"]
        reason = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
        message = f'ReplicaSet "{name}" {"has successfully progressed" if done else "is progressing"}.'
        if deployment["spec"].get("paused"):
            reason, message = "DeploymentPaused", "Deployment is paused"
            status = "Unknown"
        else:
            status = "True"
        conditions.append(_condition(old, "Progressing", status, reason, message))
    context.resources.set_status(
        DEPLOYMENTS,
        deployment,
        {
            "observedGeneration": deployment["metadata"]["generation"],
            **{key: count for key, count in counts.items() if count},
            "terminatingReplicas": 0,
            "conditions": conditions,
        },
    )


def _may_miss(deployment: Manifest) -> int:
    """How many pods may be missing while it still counts as available."""
    value = deployment["spec"]["strategy"].get("rollingUpdate", {}).get("maxUnavailable", 0)
    if isinstance(value, str):
        return int(value.rstrip("%")) * int(deployment["spec"]["replicas"]) // 100
    return int(value)


def _condition(old: dict[str, Manifest], kind: str, status: str, reason: str, message: str) -> Manifest:
    now = ages.now_text()
    before = old.get(kind, {})
    if all(before.get(key) == value for key, value in (("status", status), ("reason", reason), ("message", message))):
        return before
    moved = before.get("lastTransitionTime", now) if before.get("status") == status else now
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": moved,
    }
