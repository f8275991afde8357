"""Applying and deleting manifests: in an order that works, all that can be, and what was refused in the API's words."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from content.errors import Defect
from grader.errors import InfrastructureError
from labs.kube.api import Refused
from labs.kube.deleting import GRACE_SECONDS
from labs.kube.patience import kind_of
from labs.kube.resources import resource_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.ports import Manifest
    from labs.kube.api import Api, Resource
    from labs.kube.mirror import Mirror
    from labs.kube.waiting import Written

_FIRST = {"Namespace": 0, "CustomResourceDefinition": 0, "ServiceAccount": 1, "ConfigMap": 1, "Secret": 1}
"""What others need is applied before them; policies before pods of the same call, so that none of them is open."""
_ACCOUNT_SECONDS = 15.0
_KIND_SECONDS = 15.0
_AT_A_TIME = 8


class Writer:
    """Writes to one cluster.

    Args:
        api: its API.
        mirror: follows its service accounts while namespaces are made.
        namespace: that of objects which name none.
    """

    def __init__(self, api: Api, mirror: Mirror, namespace: str) -> None:
        self._api = api
        self._mirror = mirror
        self._namespace = namespace
        self._begun: dict[str, Written] = {}

    async def apply(self, objects: Iterable[Manifest], *, again: bool = False) -> tuple[list[Written], list[Defect]]:
        """Apply all that can be applied: the objects as they are then, and what was refused.

        Args:
            objects: their manifests.
            again: they will be applied once more, soon; what was taken of them then is not written twice.

        Raises:
            InfrastructureError: the API does not answer, or does not serve a kind that was defined.
        """
        stages: dict[int, dict[tuple[str, ...], list[Manifest]]] = {}
        for item in objects:
            stages.setdefault(_stage(item), {}).setdefault(_identity(item), []).append(item)
        written: list[Written] = []
        refused: list[Defect] = []
        begun: dict[str, Written] = {}
        for stage in sorted(stages):
            same = [stages[stage][key] for key in stages[stage]]
            for start in range(0, len(same), _AT_A_TIME):
                now = same[start : start + _AT_A_TIME]
                for done, defects in await asyncio.gather(*(self._each(it) for it in now)):
                    written += [found for _text, found in done]
                    refused += defects
                    begun |= dict(done)
            await self._follow_up(written if stage == 0 else [])
        self._begun = begun if again else {}
        return written, refused

    async def _each(self, items: Sequence[Manifest]) -> tuple[list[tuple[str, Written]], list[Defect]]:
        """Manifests of one object, one after the other: what was written, each with its manifest's text."""
        done: list[tuple[str, Written]] = []
        refused: list[Defect] = []
        for item in items:
            text = json.dumps(item, sort_keys=True)
            try:
                done.append((text, self._begun.pop(text) if text in self._begun else await self._one(item)))
            except Refused as error:
                refused.append(Defect(Path(_called(item)), 0, error.message))
        return done, refused

    async def _one(self, item: Manifest) -> Written:
        resource = await self._resource(item)
        metadata = item.get("metadata")
        if not isinstance(metadata, dict) or not metadata.get("name"):
            raise Refused(422, "Invalid", "metadata.name: Required value: name is required")
        namespace = str(metadata.get("namespace") or self._namespace) if resource.namespaced else ""
        kept = {key: value for key, value in metadata.items() if key not in {"managedFields", "namespace"}}
        wanted = {**item, "metadata": kept | ({"namespace": namespace} if namespace else {})}
        try:
            return resource, await self._api.apply(resource, namespace, wanted)
        except Refused as refused:
            if refused.code != 409:
                raise
            return resource, await self._api.apply(resource, namespace, wanted)  # somebody wrote at the same moment

    async def _resource(self, item: Manifest) -> Resource:
        found = await kind_of(self._api, item)
        if found is None:
            kind, version = item.get("kind"), item.get("apiVersion")
            raise Refused(404, "NotFound", f'no matches for kind "{kind}" in version "{version}"')
        return found

    async def _follow_up(self, written: Sequence[Written]) -> None:
        """Wait for what makes new namespaces and kinds usable: the default account, the kind's own resource."""
        homes = {
            (str(item["metadata"]["name"]), "default") for resource, item in written if resource.kind == "Namespace"
        }
        accounts = resource_of({"apiVersion": "v1", "kind": "ServiceAccount"}, await self._api.resources())
        if homes and accounts:
            await self._mirror.follow([accounts])
            await self._mirror.until(lambda: homes <= self._mirror.objects(accounts).keys() or None, _ACCOUNT_SECONDS)
        definitions = [each for each in written if each[0].kind == "CustomResourceDefinition"]
        if definitions:
            await self._served(definitions)

    async def _served(self, definitions: Sequence[Written]) -> None:
        """Return when the API serves the kinds that these define.

        Raises:
            InfrastructureError: it does not in time; the message says which, and why.
        """

        async def late() -> list[Written]:
            known = {(each.group, each.plural) for each in await self._api.resources(again=True)}
            return [each for each in definitions if _defined(each[1]) not in known]

        left = list(definitions)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_KIND_SECONDS):
                while left := await late():  # noqa: ASYNC110 - discovery cannot be watched
                    await asyncio.sleep(0.2)
        if not left:
            return
        said = [f"{item['metadata']['name']}: {await self._why(resource, item)}" for resource, item in left]
        raise InfrastructureError(
            f"the API does not serve what these CustomResourceDefinitions define: {'; '.join(said)}",
            remedy="kubectl describe crd says more of each; where a name is taken, another definition has to go first",
        )

    async def _why(self, resource: Resource, definition: Manifest) -> str:
        """Why a definition is not served, in the words of its conditions."""
        with contextlib.suppress(Refused):
            definition = await self._api.get(resource, "", str(definition["metadata"]["name"])) or definition
        conditions = (definition.get("status") or {}).get("conditions") or ()
        said = [
            f"{each['type']} is {each['status']}: {each.get('message') or each.get('reason', '')}"
            for each in conditions
            if each.get("type") in {"NamesAccepted", "Established"} and each.get("status") != "True"
        ]
        return ", ".join(said) or f"not within {_KIND_SECONDS:.0f} s"

    async def delete(self, objects: Iterable[Manifest]) -> list[Written]:
        """Ask for the end of objects; those that were there, as they were.

        Raises:
            InfrastructureError: the API does not answer.
            Refused: the API does not delete one.
        """
        ordered = sorted(objects, key=_stage, reverse=True)
        return [found for found in [await self._end(item) for item in ordered] if found is not None]

    async def _end(self, item: Manifest) -> Written | None:
        try:
            resource = await self._resource(item)
        except Refused:
            return None  # what the cluster does not know is not there
        metadata = item["metadata"]
        namespace = str(metadata.get("namespace") or self._namespace) if resource.namespaced else ""
        found = await self._api.get(resource, namespace, str(metadata["name"]))
        if found is None:
            return None
        grace = GRACE_SECONDS if resource.kind == "Pod" else None
        there = await self._api.delete(resource, namespace, str(metadata["name"]), grace=grace)
        return (resource, found) if there else None


def _defined(definition: Manifest) -> tuple[str, str]:
    """The kind of a definition: its group and its name in paths."""
    spec = definition["spec"]
    return str(spec["group"]), str(spec["names"]["plural"])


def _stage(item: Manifest) -> int:
    group = str(item.get("apiVersion", "")).partition("/")[0]
    if kind := _FIRST.get(str(item.get("kind"))):
        return kind
    if str(item.get("kind")) in _FIRST:
        return 0
    return 2 if str(item.get("kind", "")).endswith("Policy") or "." in group.removesuffix(".k8s.io") else 3


def _identity(item: Manifest) -> tuple[str, ...]:
    metadata = item.get("metadata") or {}
    return str(item.get("apiVersion")), str(item.get("kind")), str(metadata.get("namespace")), str(metadata.get("name"))


def _called(item: Manifest) -> str:
    """An object as kubectl writes it: kind/name; `labs.located` finds its file by that."""
    metadata = item.get("metadata")
    name = metadata.get("name", "?") if isinstance(metadata, dict) else "?"
    return f"{item.get('kind', 'object')}/{name}"
