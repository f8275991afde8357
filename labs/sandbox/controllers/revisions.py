"""ControllerRevisions: the templates that a StatefulSet or DaemonSet has had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.sandbox.controllers.context import REVISIONS, reference
from labs.sandbox.controllers.names import template_hash

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.controllers.context import Context

LABEL = "controller-revision-hash"


def of(pod: Manifest) -> str:
    """The revision that a pod was made from, as its label says."""
    return str(pod["metadata"].get("labels", {}).get(LABEL, ""))


def current(context: Context, owner: Manifest, *, prefixed: bool = True) -> str:
    """The revision of the owner's template; made when it is new, and the newest again when it was.

    A StatefulSet's pods carry the revision's whole name, a DaemonSet's only the hash.
    """
    metadata = owner["metadata"]
    digest = template_hash(owner["spec"]["template"])
    name = f"{metadata['name']}-{digest}"
    mine = context.owned(REVISIONS, owner)
    newest = max((item["revision"] for item in mine), default=0)
    found = next((item for item in mine if item["metadata"]["name"] == name), None)
    if found is None:
        body = {
            "metadata": {
                "name": name,
                "labels": {**owner["spec"]["template"]["metadata"].get("labels", {}), LABEL: digest},
                "ownerReferences": [reference(owner)],
            },
            "data": {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}},
            "revision": newest + 1,
        }
        context.resources.create(REVISIONS, metadata["namespace"], body)
    elif found["revision"] != newest:
        context.store.put(REVISIONS.resource, {**found, "revision": newest + 1})
    limit = owner["spec"]["revisionHistoryLimit"]
    old = sorted((item for item in mine if item["metadata"]["name"] != name), key=lambda item: int(item["revision"]))
    for item in old[: max(len(old) - limit, 0)]:
        context.delete(REVISIONS, item)
    return name if prefixed else digest
