"""What of an object counts as a change: all that somebody could have meant, and nothing that changes by itself.

Left out: heartbeats and conditions of nodes, controllers' counters, times, field managers, Calico's own book-keeping.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from labs.kube.snapshot import counts

if TYPE_CHECKING:
    from collections.abc import Mapping

_METADATA = ("namespace", "name", "uid", "labels", "deletionTimestamp", "ownerReferences")
_RESTLESS = ("endpoints.kubernetes.io/", "control-plane.alpha.kubernetes.io/", "deployment.kubernetes.io/")
"""Prefixes of annotations that controllers write as they work."""
_STATUS = {
    "Node": ("addresses",),
    "Pod": ("phase", "podIPs", "hostIP"),
    "Service": ("loadBalancer",),
    "Ingress": ("loadBalancer",),
    "Namespace": ("phase",),
    "Gateway": ("addresses",),
}
_NOT_STATUS = frozenset({"apiVersion", "kind", "metadata", "status"})


def fingerprint(manifest: Mapping[str, Any]) -> int:
    """A number of 64 bits for what counts in an object; 0 for what is in no snapshot."""
    if not counts(manifest):
        return 0
    text = json.dumps(_kept(manifest), sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) or 1


def _kept(manifest: Mapping[str, Any]) -> dict[str, Any]:
    kind, metadata = str(manifest.get("kind")), manifest["metadata"]
    annotations = {
        key: value for key, value in (metadata.get("annotations") or {}).items() if not key.startswith(_RESTLESS)
    }
    kept: dict[str, Any] = {key: value for key, value in manifest.items() if key not in _NOT_STATUS}
    status = manifest.get("status") or {}
    kept["status"] = {key: status.get(key) for key in _STATUS.get(kind, ())}
    if kind in {"Pod", "Node"}:
        kept["ready"] = [item.get("status") for item in status.get("conditions") or () if item.get("type") == "Ready"]
    return kept | {"kind": kind, "metadata": {key: metadata.get(key) for key in _METADATA}, "annotations": annotations}
