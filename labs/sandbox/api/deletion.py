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


def delete(resources: Resources, kind: Kind, namespace: str, name: str, how: Deletion = Deletion()) -> Manifest:  # noqa: B008 - frozen
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
    if wanted and wanted not in finalizers and not metadata.get("deletionTimestamp"):
        finalizers.append(wanted)
    grace = 0
    if kind.resource == "pods" and old["spec"].get("nodeName"):
        own = int(old["spec"].get("terminationGracePeriodSeconds", 30))
        grace = own if how.grace is None else how.grace
    if finalizers or grace or kind.resource == "namespaces":
        if metadata.get("deletionTimestamp"):
            return old
        ending = {**metadata, "deletionTimestamp": ages.now_text(), "deletionGracePeriodSeconds": grace}
        if finalizers:
            ending["finalizers"] = finalizers
        if "generation" in ending:
            ending["generation"] += 1
        made = {**old, "metadata": ending}
        if kind.resource == "namespaces":
            ending.pop("deletionGracePeriodSeconds")
            made["status"] = {**old.get("status", {}), "phase": "Terminating"}
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
