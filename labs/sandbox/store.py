"""The cluster's objects: JSON dictionaries with resource versions, and the history that watches read.

Objects are never changed in place: whoever wants a change puts a new object, so a reader may keep what it was given.
A kind is named by its resource and group, as the API's own messages do: `pods`, `networkpolicies.networking.k8s.io`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from grader.ports import Manifest

WINDOW = 4096
"""How many changes a watch may lie behind before it has to list again."""

SILENT = frozenset({"events", "secrets", "configmaps", "controllerrevisions.apps"})
"""Resources that never decide traffic: they are left out of a snapshot."""

_ORDER = ("nodes", "namespaces", "pods", "services")
"""What a snapshot begins with, so that it can be applied from top to bottom."""

Key = tuple[str, str]
"""Namespace and name; the namespace of a cluster's own object is empty."""


class ExpiredError(Exception):
    """A watch asks for changes that are forgotten; the API answers 410 Gone."""

    def __init__(self, version: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {version} ({oldest})")


@dataclass(frozen=True, slots=True)
class Change:
    """One write. `before` is the object that it replaced or removed."""

    version: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    resource: str
    object: Manifest
    before: Manifest | None = None


class Store:
    """All objects of one cluster, in memory."""

    def __init__(self, window: int = WINDOW) -> None:
        self._objects: dict[str, dict[Key, Manifest]] = {}
        self._history: deque[Change] = deque(maxlen=window)
        self._subscribers: list[Callable[[Change], None]] = []
        self.version = 1
        """Grows with every change; an object's `metadata.resourceVersion` is the value its last change gave."""

    def get(self, resource: str, namespace: str, name: str) -> Manifest | None:
        """The object, or None."""
        return self._objects.get(resource, {}).get((namespace, name))

    def list(self, resource: str, namespace: str = "") -> list[Manifest]:
        """The objects of one resource, of one namespace or (empty) all, in the order of a real server's keys."""
        kept = self._objects.get(resource, {})
        return [kept[key] for key in sorted(kept, key="/".join) if not namespace or key[0] == namespace]

    def count(self, resource: str) -> int:
        """How many objects of one resource there are."""
        return len(self._objects.get(resource, ()))

    def resources(self) -> Iterable[str]:
        """The resources of which there are objects."""
        return tuple(resource for resource, kept in self._objects.items() if kept)

    def put(self, resource: str, manifest: Manifest) -> Manifest:
        """Keep a new object, or one instead of its namesake; returns it with its resource version."""
        metadata = manifest["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        kept = self._objects.setdefault(resource, {})
        before = kept.get(key)
        self.version += 1
        stored = {**manifest, "metadata": {**metadata, "resourceVersion": str(self.version)}}
        kept[key] = stored
        self._tell(Change(self.version, "MODIFIED" if before else "ADDED", resource, stored, before))
        return stored

    def remove(self, resource: str, namespace: str, name: str) -> Manifest | None:
        """Forget an object; returns what it was, with the version of its end."""
        before = self._objects.get(resource, {}).pop((namespace, name), None)
        if before is None:
            return None
        self.version += 1
        last = {**before, "metadata": {**before["metadata"], "resourceVersion": str(self.version)}}
        self._tell(Change(self.version, "DELETED", resource, last, before))
        return last

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call back after every change from now on; returns how to stop."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def since(self, version: int, resource: str) -> Iterator[Change]:
        """The changes of a resource after a version, oldest first.

        Raises:
            ExpiredError: some of them are forgotten.
        """
        oldest = self._history[0].version if self._history else self.version + 1
        if version < oldest - 1:
            raise ExpiredError(version, oldest - 1)
        return (change for change in tuple(self._history) if change.version > version and change.resource == resource)

    def snapshot(self) -> tuple[Manifest, ...]:
        """Every object that may decide traffic: nodes, namespaces, pods and services first, then the rest."""
        rest = sorted(resource for resource in self._objects if resource not in _ORDER and resource not in SILENT)
        return tuple(manifest for resource in (*_ORDER, *rest) for manifest in self.list(resource))

    def _tell(self, change: Change) -> None:
        self._history.append(change)
        for callback in tuple(self._subscribers):
            callback(change)
