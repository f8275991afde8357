"""Watches: what is there, then every change, with bookmarks."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from labs.sandbox.api import reading, requests, table
from labs.sandbox.api.status import ApiError
from labs.sandbox.store import ExpiredError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from grader.ports import Manifest
    from labs.sandbox.api.requests import Target
    from labs.sandbox.store import Change, Store

_BEHIND = 4096
"""Changes that a slow client may lie behind before its watch ends; it then lists again."""

_BOOKMARK_EVERY = 30.0
_LONGEST = 1800.0


class Watch:
    """One watch.

    Args:
        store: the objects.
        target: what is watched.
        query: the request's query.
        as_table: events carry Tables, as `kubectl get -w` wants.

    Raises:
        ApiError: the query makes no sense (400, 422), or its version is forgotten (410).
    """

    def __init__(self, store: Store, target: Target, query: Mapping[str, str], *, as_table: bool) -> None:
        reading.check(query, watch=True)
        self._store = store
        self._target = target
        self._query = query
        self._wanted = reading.Filter(target, query)
        self._as_table = as_table
        self._first = True
        self._changes: asyncio.Queue[Change | None] = asyncio.Queue(_BEHIND)
        self._resource = target.kind.resource
        version = query.get("resourceVersion", "")
        self._initial: list[Manifest] = []
        self._past: list[Change] = []
        self._end_mark = query.get("sendInitialEvents") == "true"
        if self._end_mark or version in {"", "0"}:
            self._initial = [item for item in store.list(self._resource, target.namespace) if self._wanted(item)]
        else:
            self._past = self._since(version)

    def _since(self, version: str) -> list[Change]:
        if not version.isdigit():
            raise ApiError(
                400,
                "BadRequest",
                f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax',
            )
        try:
            return list(self._store.since(int(version), self._resource))
        except ExpiredError as error:
            raise ApiError(410, "Expired", str(error)) from None

    async def events(self) -> AsyncIterator[bytes]:
        """One line an event, until the client's time is over or it lies too far behind."""
        limit = requests.number(self._query, "timeoutSeconds") or _LONGEST
        ends = time.monotonic() + min(limit, _LONGEST)
        bookmarks = self._query.get("allowWatchBookmarks") == "true"
        version = self._store.version
        unsubscribe = self._store.subscribe(self._note)
        try:
            for item in self._initial:
                yield self._line("ADDED", item)
            if self._end_mark and bookmarks:
                yield self._bookmark(version, initial=True)
            for change in self._past:
                if (line := self._seen(change)) is not None:
                    yield line
            while (left := ends - time.monotonic()) > 0:
                try:
                    change_now = await asyncio.wait_for(self._changes.get(), min(left, _BOOKMARK_EVERY))
                except TimeoutError:
                    if bookmarks and left > _BOOKMARK_EVERY:
                        yield self._bookmark(self._store.version, initial=False)
                    continue
                if change_now is None:
                    return
                if (line := self._seen(change_now)) is not None:
                    yield line
        finally:
            unsubscribe()

    def _note(self, change: Change) -> None:
        if change.resource != self._resource:
            return
        if self._changes.qsize() >= _BEHIND - 1:
            if not self._changes.full():
                self._changes.put_nowait(None)
            return
        self._changes.put_nowait(change)

    def _seen(self, change: Change) -> bytes | None:
        """A change as this watch's selectors see it: what begins to match is added, what ceases to is deleted."""
        before = change.before is not None and self._wanted(change.before)
        now = change.type != "DELETED" and self._wanted(change.object)
        if now:
            return self._line("MODIFIED" if before else "ADDED", change.object)
        return self._line("DELETED", change.object) if before else None

    def _line(self, kind: str, manifest: Manifest) -> bytes:
        shown = manifest
        if self._as_table:
            version = manifest["metadata"]["resourceVersion"]
            shown = table.table(
                self._target.kind,
                [manifest],
                {"resourceVersion": version},
                include=self._query.get("includeObject", "Metadata"),
                headers=self._first,
            )
            self._first = False
        return json.dumps({"type": kind, "object": shown}, separators=(",", ":")).encode() + b"\n"

    def _bookmark(self, version: int, *, initial: bool) -> bytes:
        metadata: Manifest = {"resourceVersion": str(version)}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        kind = self._target.kind
        shown: Manifest = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
        if self._as_table:
            empty: Manifest = {"metadata": {**metadata, "name": ""}}
            shown = table.table(kind, [], metadata, include="Metadata", headers=self._first)
            shown["rows"] = [{"cells": ["" for _ in kind.columns], "object": {**shown_partial(empty)}}]
            self._first = False
        return json.dumps({"type": "BOOKMARK", "object": shown}, separators=(",", ":")).encode() + b"\n"


def shown_partial(manifest: Manifest) -> Manifest:
    """An object's metadata as a Table's row carries it."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": manifest["metadata"]}
