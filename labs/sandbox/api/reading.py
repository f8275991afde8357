"""get and list: selectors, pages, and the list object around the items."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs.sandbox.api import requests, selectors
from labs.sandbox.api.status import FieldErrors, bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.ports import Manifest
    from labs.sandbox.api.requests import Target
    from labs.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the objects, and the list's metadata."""

    items: list[Manifest]
    metadata: Manifest


class Filter:
    """What a list or watch wants to see.

    Raises:
        ApiError: 400, a selector makes no sense.
    """

    def __init__(self, target: Target, query: Mapping[str, str]) -> None:
        self._namespace = target.namespace
        self._name = target.name
        self._labels = selectors.labels(query["labelSelector"]) if query.get("labelSelector") else None
        self._fields = selectors.fields(query["fieldSelector"], target.kind) if query.get("fieldSelector") else None
        self.all = not (self._labels or self._fields)

    def __call__(self, manifest: Manifest) -> bool:
        """Whether it is one of those wanted."""
        metadata = manifest["metadata"]
        if self._namespace and metadata.get("namespace") != self._namespace:
            return False
        if self._name and metadata["name"] != self._name:
            return False
        if self._labels and not self._labels(metadata.get("labels", {})):
            return False
        return not self._fields or self._fields(manifest)


def check(query: Mapping[str, str], *, watch: bool) -> None:
    """Refuse options that exclude one another.

    Raises:
        ApiError: 422.
    """
    errors = FieldErrors()
    match, initial = query.get("resourceVersionMatch"), query.get("sendInitialEvents")
    if initial and not watch:
        errors.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
    elif initial and match != "NotOlderThan":
        errors.forbidden(
            "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    elif match and watch and not initial:
        errors.forbidden(
            "resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        )
    errors.raise_for("ListOptions", "meta.k8s.io", "")


def page(store: Store, target: Target, query: Mapping[str, str]) -> Page:
    """The objects that a list answers with.

    Raises:
        ApiError: 400 or 422, the query makes no sense.
    """
    check(query, watch=False)
    wanted = Filter(target, query)
    limit = requests.number(query, "limit")
    start = ""
    if query.get("continue"):
        if query.get("resourceVersion"):
            raise bad_request("specifying resource version is not allowed when using continue")
        start = _start(query["continue"])
    found = [item for item in store.list(target.kind.resource, target.namespace) if wanted(item)]
    metadata: Manifest = {"resourceVersion": str(store.version)}
    if start:
        found = [item for item in found if _key(item) > start]
    if 0 < limit < len(found):
        left = len(found) - limit
        found = found[:limit]
        token = {"v": "meta.k8s.io/v1", "start": _key(found[-1])}
        metadata["continue"] = base64.urlsafe_b64encode(json.dumps(token).encode()).decode().rstrip("=")
        if wanted.all:
            metadata["remainingItemCount"] = left
    return Page(found, metadata)


def _key(manifest: Manifest) -> str:
    return f"{manifest['metadata'].get('namespace', '')}\x00{manifest['metadata']['name']}"


def _start(token: str) -> str:
    padded = token + "=" * (-len(token) % 4)
    try:
        return str(json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))["start"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        at = len(token) - len(token) % 4
        raise bad_request(
            f"invalid continue token: continue key is not valid: illegal base64 data at input byte {at}"
        ) from None
