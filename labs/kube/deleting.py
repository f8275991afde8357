"""The end of objects: asked for, hastened where pods take their time, and waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.kube.mirror import key_of
from labs.kube.waiting import called

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.ports import Manifest
    from labs.kube.api import Api
    from labs.kube.mirror import Mirror
    from labs.kube.waiting import Waiter, Written

_GONE_SECONDS = 90.0
GRACE_SECONDS = 1
"""What a pod's processes are given to end: a lab keeps nothing worth more."""


class Deletion:
    """Objects that were told to end, with the pods that they owned.

    Args:
        api: their API.
        mirror: follows their kinds.
        waiter: follows pods and workloads.
        doomed: the objects as they were, with their uids.
    """

    def __init__(self, api: Api, mirror: Mirror, waiter: Waiter, doomed: Sequence[Written]) -> None:
        self._api = api
        self._mirror = mirror
        self._waiter = waiter
        self._doomed = doomed
        self._namespaces = {str(item["metadata"]["name"]) for resource, item in doomed if resource.kind == "Namespace"}
        self._chain = {str(item["metadata"]["uid"]) for _, item in doomed}
        self._hastened: set[str] = set()

    async def wait(self) -> None:
        """Return when all of them are no more.

        Raises:
            InfrastructureError: some are still there after the limit.
        """
        while self._left():
            await asyncio.gather(*(self._hasten(pod) for pod in self._slow()))
            if await self._mirror.until(lambda: not self._left() or bool(self._slow()) or None, _GONE_SECONDS) is None:
                raise InfrastructureError(
                    f"these do not go away: {', '.join(sorted(self._left()))}",
                    remedy="kubectl get them with -o yaml: a finalizer may hold them; or start the lab again",
                )

    def _left(self) -> list[str]:
        kept = [
            called(item)
            for resource, item in self._doomed
            if (now := self._mirror.objects(resource).get(key_of(item))) is not None
            and now["metadata"]["uid"] == item["metadata"]["uid"]
        ]
        return kept + [called(pod) for pod in self._pods()]

    def _pods(self) -> list[Manifest]:
        """The pods of these owners, by their chain of references, and of these namespaces."""
        items = [item for kind in self._waiter.kinds for item in self._waiter.all(kind)]
        while more := {
            uid for item in items if _owners(item) & self._chain for uid in [str(item["metadata"]["uid"])]
        } - (self._chain):
            self._chain |= more  # kept: an owner in the middle goes before its pods
        return [
            pod
            for pod in self._waiter.all("Pod")
            if pod["metadata"]["namespace"] in self._namespaces or str(pod["metadata"]["uid"]) in self._chain
        ]

    def _slow(self) -> list[Manifest]:
        """Pods that are ending, with the time that they were given by others."""
        return [
            pod
            for pod in self._pods()
            if pod["metadata"].get("deletionTimestamp") and str(pod["metadata"]["uid"]) not in self._hastened
        ]

    async def _hasten(self, pod: Manifest) -> None:
        self._hastened.add(str(pod["metadata"]["uid"]))
        await self._api.delete(self._waiter.kinds["Pod"], *key_of(pod), grace=GRACE_SECONDS)


def _owners(item: Manifest) -> set[str]:
    return {str(reference["uid"]) for reference in item["metadata"].get("ownerReferences") or ()}
