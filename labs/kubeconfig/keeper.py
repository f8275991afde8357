"""Admits objects to somebody's cluster: refuses strangers' names, asks about what lies outside, writes it down, marks.

Every object that a lab makes on the cluster comes through here first.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from content.errors import UsageError
from grader.errors import InfrastructureError
from labs.kube.patience import kind_of
from labs.kubeconfig import rights
from labs.kubeconfig.journal import LAB
from labs.kubeconfig.scope import Ref, defined_wide, is_namespace, ref, scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from pathlib import Path

    from grader.ports import Manifest
    from labs.kube.api import Api
    from labs.kubeconfig.journal import Journal

    Agree = Callable[[Sequence[str]], Awaitable[bool]]


class Keeper:
    """Keeps a lab to what it may touch.

    Args:
        api: the cluster's API.
        folder: where the journal is kept.
        journal: what is the lab's so far.
        agree: shown what is outside the lab's namespaces, line by line; tells whether the user agrees.
    """

    def __init__(self, api: Api, folder: Path, journal: Journal, agree: Agree) -> None:
        self._api = api
        self._folder = folder
        self.journal = journal
        self._agree = agree

    async def admit(self, objects: Iterable[Manifest], also: Sequence[str] = ()) -> tuple[Manifest, ...]:
        """The objects as they may be applied: marked where that is needed, and in the journal.

        Args:
            objects: what is to be applied.
            also: more that is to be agreed to, in words.

        Raises:
            InfrastructureError: a name is taken by what is not the lab's, or that or where it goes cannot be told.
            UsageError: the user did not agree.
        """
        given = tuple(objects)
        wide = await self._wide(given)
        found = scope(given, self.journal.namespace, wide, self.journal.namespaces)
        spaces = [name for name in found.namespaces if name not in self.journal.namespaces]
        new = [item for item in (*found.outside, *found.wide) if item not in self.journal.objects]
        await self._refuse_strangers([*(Ref("v1", "Namespace", name) for name in spaces), *new])
        asked = [*also, *(f"make {item}, {_where(item)}" for item in new)]
        if asked and not await self._agree(asked):
            raise UsageError(
                f"nothing was done: {self.journal.name} on context {self.journal.context} would\n"
                + "\n".join(f"  - {line}" for line in asked),
                remedy="if that is what you want, say --yes (or set NETDOJO_KUBECONFIG_YES=1)",
            )
        self.journal = self.journal.with_more(spaces, new)
        self.journal.write(self._folder)
        outside = set(self.journal.objects)
        return tuple(
            self._marked(item) if is_namespace(named) or named in outside else item
            for item, named in ((item, ref(item, self.journal.namespace, wide)) for item in given)
        )

    async def own(self, objects: Iterable[Manifest]) -> tuple[Manifest, ...]:
        """The objects, when all of them are the lab's to delete.

        Raises:
            UsageError: one is not.
            InfrastructureError: it cannot be told.
        """
        given = tuple(objects)
        wide = await self._wide(given)
        for item in given:
            named = ref(item, self.journal.namespace, wide)
            inside = (named.name if is_namespace(named) else named.namespace) in self.journal.namespaces
            if not inside and named not in self.journal.objects:
                raise UsageError(
                    f"{named} is not the lab's, so it is not deleted", remedy="use kubectl for what is your own"
                )
        return given

    async def _wide(self, objects: Iterable[Manifest]) -> frozenset[tuple[str, str]]:
        """The (group, kind) of what has no namespace: all kinds that are served, and those that these objects define.

        A kind that is only not known for the moment would pass for one with namespaces: then nothing is decided.
        """
        given = tuple(objects)
        for version, kind in {(str(item.get("apiVersion")), str(item.get("kind"))) for item in given}:
            await kind_of(self._api, {"apiVersion": version, "kind": kind})
        known = {(each.group, each.kind) for each in await self._api.resources() if not each.namespaced}
        return frozenset(known | set(defined_wide(given)))

    async def _refuse_strangers(self, refs: Sequence[Ref]) -> None:
        taken = [
            item for item, mine in zip(refs, await asyncio.gather(*map(self._free, refs)), strict=True) if not mine
        ]
        if taken:
            raise InfrastructureError(
                f"the cluster of context {self.journal.context} has these already, and they are not the lab's: "
                f"{', '.join(map(str, taken))}",
                remedy="nothing was changed; use another cluster, or remove them yourself if nobody needs them",
            )

    async def _free(self, item: Ref) -> bool:
        """Whether a name may be used: nobody has it, or what has it is the lab's."""
        resource = await kind_of(self._api, {"apiVersion": item.api, "kind": item.kind})
        with rights.explained(self.journal.context):
            found = await self._api.get(resource, item.namespace, item.name) if resource is not None else None
        return found is None or is_marked(found, self.journal)

    def _marked(self, item: Manifest) -> Manifest:
        metadata = item.get("metadata") or {}
        labels = {**(metadata.get("labels") or {}), **self.journal.labels}
        return {**item, "metadata": {**metadata, "labels": labels}}


def is_marked(found: Manifest, journal: Journal) -> bool:
    """Whether an object of the cluster carries the lab's mark."""
    labels = (found.get("metadata") or {}).get("labels") or {}
    return all(labels.get(key) == value for key, value in journal.labels.items())


def is_of_a_lab(found: Manifest) -> bool:
    """Whether an object of the cluster is of any lab of anybody's netdojo."""
    return LAB in ((found.get("metadata") or {}).get("labels") or {})


def _where(item: Ref) -> str:
    return f"in the namespace {item.namespace}, which is not the lab's" if item.namespace else "for the whole cluster"
