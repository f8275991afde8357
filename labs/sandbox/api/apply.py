"""`kubectl apply` and `kubectl delete` in process, for the control protocol."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import deletion, schema, status
from labs.sandbox.api.resources import Options, Resources, Written, kind_of
from labs.sandbox.api.threeway import three_way

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.store import Store

LAST = "kubectl.kubernetes.io/last-applied-configuration"


def apply_object(store: Store, manifest: Manifest, namespace: str = "default") -> Written:
    """Create an object, or merge it into what is there as `kubectl apply` does.

    What the last apply had and this one has not is removed; what others set stays. `namespace` is for objects that
    name none.

    Raises:
        ApiError: the API refuses it; `message` is the API's own words.
    """
    resources = Resources(store)
    kind = kind_of(manifest)
    schema.refuse_depth(manifest)
    wanted = copy.deepcopy(manifest)
    metadata = wanted.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise status.bad_request(f"{kind.kind}: metadata must be an object")
    home = (metadata.get("namespace") or namespace) if kind.namespaced else ""
    if not kind.namespaced:
        metadata.pop("namespace", None)
    annotations = metadata.setdefault("annotations", {}) or {}
    if not isinstance(annotations, dict):
        raise status.bad_request(f"{kind.kind}: metadata.annotations must be an object")
    metadata["annotations"] = annotations
    annotations.pop(LAST, None)
    annotations[LAST] = json.dumps(wanted, separators=(",", ":"), sort_keys=True) + "\n"
    name = metadata.get("name", "")
    now = store.get(kind.resource, home, name) if isinstance(name, str) else None
    if now is None:
        return resources.create(kind, home, wanted, Options())
    try:
        last = json.loads(now["metadata"].get("annotations", {}).get(LAST, "{}"))
    except ValueError:
        last = {}

    merged = three_way(now, last, wanted, kind.type)
    merged["metadata"].pop("resourceVersion", None)
    return resources.update(kind, home, name, merged, Options())


def delete_object(store: Store, manifest: Manifest, namespace: str = "default") -> None:
    """Delete an object; what is not there is fine.

    Raises:
        ApiError: the API refuses.
    """
    kind = kind_of(manifest)
    metadata: dict[str, Any] = manifest.get("metadata") or {}
    home = (metadata.get("namespace") or namespace) if kind.namespaced else ""
    try:
        deletion.delete(Resources(store), kind, home, metadata.get("name", ""))
    except status.ApiError as error:
        if error.code != 404:
            raise
