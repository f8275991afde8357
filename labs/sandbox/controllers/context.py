"""What a controller works with."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import ages, deletion, kinds
from labs.sandbox.api.status import ApiError
from labs.sandbox.api.validate.common import matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.ports import Manifest
    from labs.sandbox.api.kinds import Kind
    from labs.sandbox.api.resources import Resources
    from labs.sandbox.runtime import Runtime
    from labs.sandbox.store import Store

_EVENTS_KEPT = 500

PODS = kinds.BY_RESOURCE["pods"]
REPLICA_SETS = kinds.BY_RESOURCE["replicasets.apps"]
DEPLOYMENTS = kinds.BY_RESOURCE["deployments.apps"]
STATEFUL_SETS = kinds.BY_RESOURCE["statefulsets.apps"]
DAEMON_SETS = kinds.BY_RESOURCE["daemonsets.apps"]
REVISIONS = kinds.BY_RESOURCE["controllerrevisions.apps"]
SERVICES = kinds.BY_RESOURCE["services"]
SLICES = kinds.BY_RESOURCE["endpointslices.discovery.k8s.io"]
ENDPOINTS = kinds.BY_RESOURCE["endpoints"]
NAMESPACES = kinds.BY_RESOURCE["namespaces"]


@dataclass(slots=True)
class Context:
    """The store with the API's rules over it, and the runtime."""

    resources: Resources
    runtime: Runtime
    running: dict[str, str] = field(default_factory=dict)
    """The pods that the runtime carries: uid to namespace/name."""

    @property
    def store(self) -> Store:
        """The objects."""
        return self.resources.store

    def owned(self, kind: Kind, owner: Manifest) -> list[Manifest]:
        """The objects of a kind that this owner controls."""
        uid, namespace = owner["metadata"]["uid"], owner["metadata"].get("namespace", "")
        return [item for item in self.store.list(kind.resource, namespace) if controller(item) == uid]

    def create_pod(self, owner: Manifest, template: Manifest, metadata: Manifest, spec: Manifest | None = None) -> bool:
        """Make a pod from a template; False when the API refused it (an event says why)."""
        labels = {**template["metadata"].get("labels", {}), **metadata.pop("labels", {})}
        pod: Manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "labels": labels,
                "annotations": template["metadata"].get("annotations", {}),
                "ownerReferences": [reference(owner)],
                **metadata,
            },
            "spec": {**template["spec"], **(spec or {})},
        }
        try:
            made = self.resources.create(PODS, owner["metadata"]["namespace"], pod).object
        except ApiError as error:
            self.event(owner, "FailedCreate", f"Error creating: {error.message}", kind="Warning")
            return False
        self.event(owner, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        return True

    def claim(self, kind: Kind, owner: Manifest) -> list[Manifest]:
        """The objects of a kind that an owner controls after it took those that fit and let go those that do not."""
        metadata, selector = owner["metadata"], owner["spec"]["selector"]
        for item in self.store.list(kind.resource, metadata["namespace"]):
            holder = controller(item)
            if holder not in {"", metadata["uid"]} or item["metadata"].get("deletionTimestamp"):
                continue
            fits = matches(selector, item["metadata"].get("labels", {}))
            if fits and not holder:
                self._own(kind, item, [*item["metadata"].get("ownerReferences", ()), reference(owner)])
            elif holder and not fits:
                self.disown(kind, item, metadata["uid"])
        return self.owned(kind, owner)

    def disown(self, kind: Kind, child: Manifest, uid: str) -> None:
        """Take an owner away from an object that may have changed or gone."""
        now = self.store.get(kind.resource, child["metadata"].get("namespace", ""), child["metadata"]["name"])
        if now is not None:
            self._own(kind, now, [o for o in now["metadata"].get("ownerReferences", ()) if o["uid"] != uid])

    def _own(self, kind: Kind, item: Manifest, owners: list[Manifest]) -> None:
        metadata = {key: value for key, value in item["metadata"].items() if key != "ownerReferences"}
        self.store.put(kind.resource, {**item, "metadata": metadata | ({"ownerReferences": owners} if owners else {})})

    def delete(self, kind: Kind, manifest: Manifest, *, grace: int | None = None) -> None:
        """Delete an object that may be gone already."""
        metadata = manifest["metadata"]
        if self.store.get(kind.resource, metadata.get("namespace", ""), metadata["name"]) is not None:
            how = deletion.Deletion(grace=grace)
            deletion.delete(self.resources, kind, metadata.get("namespace", ""), metadata["name"], how)

    def event(self, about: Manifest, reason: str, message: str, *, kind: str = "Normal", source: str = "") -> None:
        """Record that something happened; the same again is counted."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace", "default")
        now = ages.now_text()
        for old in self.store.list("events", namespace):
            if (
                old["involvedObject"].get("uid") == metadata["uid"]
                and old.get("reason") == reason
                and old.get("message") == message
            ):
                if kind == "Warning":
                    return
                self.store.put("events", {**old, "count": old.get("count", 1) + 1, "lastTimestamp": now})
                return
        involved = {
            "kind": about["kind"],
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "uid": metadata["uid"],
            "apiVersion": about["apiVersion"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        component = source or f"{about['kind'].lower()}-controller"
        self.store.put(
            "events",
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {
                    "name": f"{metadata['name']}.{secrets.token_hex(8)}",
                    "namespace": namespace,
                    "uid": secrets.token_hex(16),
                    "creationTimestamp": now,
                },
                "involvedObject": {key: value for key, value in involved.items() if value},
                "reason": reason,
                "message": message,
                "source": {"component": component},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "type": kind,
                "reportingComponent": component,
                "reportingInstance": "",
            },
        )
        kept = self.store.list("events")
        if len(kept) > _EVENTS_KEPT:
            oldest = min(kept, key=lambda item: int(item["metadata"]["resourceVersion"]))
            self.store.remove("events", oldest["metadata"]["namespace"], oldest["metadata"]["name"])


def controller(manifest: Manifest) -> str:
    """The uid of the object that controls this one, or nothing."""
    for owner in manifest["metadata"].get("ownerReferences", ()):
        if owner.get("controller"):
            return str(owner["uid"])
    return ""


def reference(owner: Manifest) -> dict[str, Any]:
    """How a child names its controller."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def active(pods: Iterable[Manifest]) -> list[Manifest]:
    """Those that live: neither ending nor ended."""
    return [
        pod
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp")
        and pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
    ]


def is_ready(pod: Manifest) -> bool:
    """Whether its condition Ready holds."""
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
