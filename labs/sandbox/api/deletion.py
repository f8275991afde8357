"""Deleting: preconditions, finalizers, propagation, and the time that pods are given to end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs.sandbox.api import ages, status
from labs.sandbox.api.resources import PROTECTED

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.api.kinds import Kind
    from labs.sandbox.api.resources import Resources

_FINALIZERS = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}


@dataclass(frozen=True, slots=True)
class Deletion:
    """How something is deleted.

    Attributes:
        propagation: `Background`, `Foreground`, `Orphan`, or "" for the kind's own.
        grace: seconds; None for the object's own.
        uid: refuse unless the object has it.
        version: refuse unless it is the object's resource version.
    """

    propagation: str = ""
    grace: int | None = None
    uid: str = ""
    version: str = ""
    dry_run: bool = False


def delete(resources: Resources, kind: Kind, namespace: str, name: str, how: Deletion = Deletion()) -> Manifest:
    """Delete an object; returns it when it lingers (finalizers, a pod's grace), else a Status of success.

    Raises:
        ApiError: it is not there, or may not go.
    """
    old = resources.get(kind, namespace, name)
    metadata = old["metadata"]
    if kind.resource == "namespaces" and name in PROTECTED:
        raise status.forbidden("namespaces", name, "this namespace may not be deleted")
    _preconditions(kind, old, how)
    finalizers = list(metadata.get("finalizers", ()))
    wanted = _FINALIZERS.get(how.propagation)
    if wanted and wanted not in finalizers:
        finalizers.append(wanted)
    grace = _grace(kind, old, how)
    if finalizers or grace or kind.resource == "namespaces":
        if metadata.get("deletionTimestamp"):
            return old
        made = _ending(kind, old, finalizers, grace)
        return made if how.dry_run else resources.store.put(kind.resource, made)
    if not how.dry_run:
        resources.store.remove(kind.resource, namespace, name)
    if kind.resource in {"pods", "services"}:
        return old
    details: Manifest = {"name": name}
    if kind.group:
        details["group"] = kind.group
    details |= {"kind": kind.plural, "uid": metadata["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _grace(kind: Kind, old: Manifest, how: Deletion) -> int:
    """Seconds that a pod on a node is given to end."""
    if kind.resource != "pods" or not old["spec"].get("nodeName"):
        return 0
    return int(old["spec"].get("terminationGracePeriodSeconds", 30)) if how.grace is None else how.grace


def _ending(kind: Kind, old: Manifest, finalizers: list[str], grace: int) -> Manifest:
    """The object as it is while it ends."""
    metadata = {**old["metadata"], "deletionTimestamp": ages.now_text(), "deletionGracePeriodSeconds": grace}
    if finalizers:
        metadata["finalizers"] = finalizers
    if "generation" in metadata:
        metadata["generation"] += 1
    if kind.resource != "namespaces":
        return {**old, "metadata": metadata}
    del metadata["deletionGracePeriodSeconds"]
    return {**old, "metadata": metadata, "status": {**old.get("status", {}), "phase": "Terminating"}}


def _preconditions(kind: Kind, old: Manifest, how: Deletion) -> None:
    metadata = old["metadata"]
    if how.uid and how.uid != metadata["uid"]:
        raise status.conflict(
            kind.resource,
            metadata["name"],
            f"Precondition failed: UID in precondition: {how.uid}, UID in object meta: {metadata['uid']}",
        )
    if how.version and how.version != metadata["resourceVersion"]:
        raise status.conflict(
            kind.resource,
            metadata["name"],
            f"Precondition failed: ResourceVersion in precondition: {how.version}, "
            f"ResourceVersion in object meta: {metadata['resourceVersion']}",
        )
