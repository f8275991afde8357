"""Objects whose owners are gone, and the finalizers that decide what becomes of an owner's dependents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.sandbox.api import kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.ports import Manifest
    from labs.sandbox.api.kinds import Kind
    from labs.sandbox.controllers.context import Context


def reconcile(context: Context) -> None:
    """Delete orphans, and let owners go once their dependents are dealt with."""
    everything = [
        (kinds.BY_RESOURCE[resource], item)
        for resource in context.store.resources()
        if resource in kinds.BY_RESOURCE
        for item in context.store.list(resource)
    ]
    present = {item["metadata"]["uid"] for _, item in everything}
    dependents: dict[str, list[tuple[Kind, Manifest]]] = {}
    for kind, item in everything:
        owners = item["metadata"].get("ownerReferences", ())
        for owner in owners:
            dependents.setdefault(owner["uid"], []).append((kind, item))
        lost = bool(owners) and not any(owner["uid"] in present for owner in owners)
        if lost and not item["metadata"].get("deletionTimestamp"):
            context.delete(kind, item)
    for kind, item in everything:
        if item["metadata"].get("deletionTimestamp"):
            _owner(context, kind, item, dependents.get(item["metadata"]["uid"], ()))


def _owner(context: Context, kind: Kind, owner: Manifest, children: Sequence[tuple[Kind, Manifest]]) -> None:
    finalizers = owner["metadata"].get("finalizers", ())
    if "orphan" in finalizers:
        for child_kind, child in children:
            context.disown(child_kind, child, owner["metadata"]["uid"])
        _drop(context, kind, owner, "orphan")
    elif "foregroundDeletion" in finalizers:
        for child_kind, child in children:
            if not child["metadata"].get("deletionTimestamp"):
                context.delete(child_kind, child)
        left = [
            child
            for child_kind, child in children
            if context.store.get(child_kind.resource, child["metadata"].get("namespace", ""), child["metadata"]["name"])
        ]
        if not left:
            _drop(context, kind, owner, "foregroundDeletion")


def _drop(context: Context, kind: Kind, owner: Manifest, finalizer: str) -> None:
    """Take a finalizer away; the last one lets the object go."""
    namespace, name = owner["metadata"].get("namespace", ""), owner["metadata"]["name"]
    now = context.store.get(kind.resource, namespace, name)
    if now is None:
        return
    metadata = dict(now["metadata"])
    kept = [item for item in metadata.pop("finalizers", ()) if item != finalizer]
    if kept or kind.resource in {"pods", "namespaces"}:
        context.store.put(kind.resource, {**now, "metadata": metadata | ({"finalizers": kept} if kept else {})})
    else:
        context.store.remove(kind.resource, namespace, name)
