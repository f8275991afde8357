"""The objects that decide traffic, followed by watches in the background: versions, and waiting without polling.

Each kind has a thread, since the client blocks; they are daemons and hold nothing that outlives the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

from grader.errors import InfrastructureError
from labs.kube.api import Refused
from labs.kube.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from grader.ports import Manifest
    from labs.kube.api import Api, Listing, Resource

_AGAIN_SECONDS = 0.5
"""Between two attempts of a watch that could not be made."""
_FIRST_SECONDS = 30.0
_T = TypeVar("_T")
Key = tuple[str, str]
"""Namespace and name."""


class Followed:
    """One kind: its objects as the watch tells them."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.objects: dict[Key, Manifest] = {}
        self.revision = 0
        """The newest resource version that the watch has told of."""
        self.digest = 0
        """Changes with every change that counts (see `fingerprint`)."""
        self.failure: InfrastructureError | None = None
        """Why it is not followed at the moment; what was seen before is kept."""
        self.begun = False
        self.moves = 0
        """How often the digest has changed: what is as it was before was changed twice."""
        self._prints: dict[Key, int] = {}

    def replace(self, listing: Listing) -> None:
        """Take a new list for the whole truth."""
        before, moves = self.digest, self.moves
        self.objects, self._prints, self.digest = {}, {}, 0
        for item in listing.items:
            self.put(item)
        self.moves = moves + (self.begun and self.digest != before)
        self.revision = max(self.revision, _number(listing.resource_version))
        self.begun = True

    def put(self, item: Manifest) -> None:
        """An object that is new or changed."""
        key = key_of(item)
        self.objects[key] = item
        self._note(key, fingerprint(item))

    def drop(self, item: Manifest) -> None:
        """An object that is gone."""
        key = key_of(item)
        self.objects.pop(key, None)
        self._note(key, 0)

    def _note(self, key: Key, found: int) -> None:
        before = self._prints.pop(key, 0)
        self.digest ^= before ^ found
        self.moves += before != found
        if found:
            self._prints[key] = found


class Mirror:
    """The followed kinds of one cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._followed: dict[Resource, Followed] = {}
        self._lock = threading.Lock()
        self._listeners: set[Callable[[], None]] = set()
        self._closed = threading.Event()

    async def follow(self, resources: Iterable[Resource]) -> None:
        """Follow these kinds from now on; returns when the first lists are there.

        Raises:
            InfrastructureError: a list or watch cannot be had.
        """
        wanted = [resource for resource in dict.fromkeys(resources) if "watch" in resource.verbs]
        while late := [resource for resource in wanted if not self._has_begun(resource)]:
            new = [resource for resource in late if resource not in self._followed]
            await (self._follow(new) if new else self._others(late))

    async def _follow(self, new: Sequence[Resource]) -> None:
        """Follow kinds that nobody follows; whatever happens, none is left that has not begun."""
        self._followed |= {resource: Followed(resource) for resource in new}
        try:
            lists = await asyncio.gather(*(self._list(resource) for resource in new), return_exceptions=True)
            for resource, listing in zip(new, lists, strict=True):
                if isinstance(listing, BaseException):
                    raise listing
                self._begin(self._followed[resource], listing)
        finally:
            for resource in new:
                if not self._followed[resource].begun:
                    del self._followed[resource]
            self._tell()

    async def _others(self, late: Sequence[Resource]) -> None:
        """Wait until kinds that somebody else is about to follow have begun, or are left to us.

        Raises:
            InfrastructureError: neither happened in time.
        """

        def decided() -> bool | None:
            return all(each not in self._followed or self._followed[each].begun for each in late) or None

        if await self.until(decided, _FIRST_SECONDS) is None:
            raise InfrastructureError(
                f"these were not listed within {_FIRST_SECONDS:.0f} s: {', '.join(map(str, late))}",
                remedy="the cluster may be busy: try again",
            )

    def _has_begun(self, resource: Resource) -> bool:
        return resource in self._followed and self._followed[resource].begun

    def objects(self, resource: Resource) -> dict[Key, Manifest]:
        """The objects of a followed kind as they were told; a copy."""
        with self._lock:
            return dict(self._followed[resource].objects)

    def seen(self, resource: Resource, item: Manifest) -> bool:
        """Whether the watch has told of this object in this version, or a newer one."""
        with self._lock:
            followed = self._followed.get(resource)
            if followed is None:
                return True
            kept = followed.objects.get(key_of(item))
            version = str(item["metadata"].get("resourceVersion", ""))
            return followed.revision >= _number(version) or (
                kept is not None and kept["metadata"].get("resourceVersion") == version
            )

    def word(self) -> str:
        """A word for the state of all followed kinds, and for how they came to it.

        Raises:
            InfrastructureError: one of them is not followed at the moment.
        """
        with self._lock:
            for followed in self._followed.values():
                if followed.failure is not None:
                    raise followed.failure
            total = moves = 0
            for followed in self._followed.values():
                total ^= followed.digest
                moves += followed.moves
            return f"{total:016x}.{moves}"

    async def until(self, condition: Callable[[], _T | None], seconds: float) -> _T | None:
        """Wait for a condition on the objects: asked now, and after each change. Its result, or None after the limit.

        Raises:
            InfrastructureError: the limit passed while a kind could not be followed.
        """
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may have ended since
                loop.call_soon_threadsafe(changed.set)

        self._listeners.add(tell)
        try:
            async with asyncio.timeout(seconds):
                while (found := condition()) is None:
                    await changed.wait()
                    changed.clear()
                return found
        except TimeoutError:
            for followed in tuple(self._followed.values()):
                if followed.failure is not None:
                    raise followed.failure from None
            return None
        finally:
            self._listeners.discard(tell)

    def close(self) -> None:
        """Follow no more. Threads end with their next event."""
        self._closed.set()

    async def _list(self, resource: Resource) -> Listing:
        try:
            return await self._api.list(resource)
        except Refused as refused:
            raise _not_followed(resource, refused) from refused

    def _begin(self, followed: Followed, listing: Listing) -> None:
        with self._lock:
            followed.replace(listing)
        name = f"watch {followed.resource}"
        threading.Thread(target=self._watch, args=(followed, listing), name=name, daemon=True).start()

    def _watch(self, followed: Followed, listing: Listing) -> None:
        """The life of a thread: watch, and list again whenever the watch has lost its place."""
        since = listing.resource_version
        while not self._closed.is_set():
            try:
                if not since:
                    listing = asyncio.run(self._list(followed.resource))
                    since = listing.resource_version
                    with self._lock:
                        followed.replace(listing)
                        followed.failure = None
                    self._tell()
                for change in self._api.watch(followed.resource, since):
                    if self._closed.is_set():
                        return
                    since = str(change.object["metadata"]["resourceVersion"])
                    self._take(followed, change.type, dict(change.object))
            except Refused as refused:
                since = ""
                if refused.code != 410:
                    self._failed(followed, _not_followed(followed.resource, refused))
            except InfrastructureError as error:
                since = ""
                self._failed(followed, error)
            except RuntimeError as error:
                if "shutdown" in str(error):
                    return  # the process is ending, and its pools take no more work
                raise

    def _take(self, followed: Followed, kind: str, item: Manifest) -> None:
        with self._lock:
            followed.failure = None
            if kind in {"ADDED", "MODIFIED"}:
                resource = followed.resource
                followed.put({"apiVersion": resource.api_version, "kind": resource.kind, **item})
            elif kind == "DELETED":
                followed.drop(item)
            followed.revision = max(followed.revision, _number(item["metadata"].get("resourceVersion")))
        self._tell()

    def _failed(self, followed: Followed, error: InfrastructureError) -> None:
        with self._lock:
            followed.failure = error
        self._tell()
        self._closed.wait(_AGAIN_SECONDS)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()


def key_of(item: Manifest) -> Key:
    """Namespace (empty for a cluster's own object) and name."""
    metadata = item["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])


def _number(version: object) -> int:
    """A resource version as a number: they can be compared (KEP-5504); one that is no number is never the newest."""
    text = str(version)
    return int(text) if text.isdigit() else 0


def _not_followed(resource: Resource, refused: Refused) -> InfrastructureError:
    return InfrastructureError(
        f"{resource} cannot be followed: {refused.message}",
        remedy="the kubeconfig's user needs the right to list and watch them in the whole cluster",
    )
