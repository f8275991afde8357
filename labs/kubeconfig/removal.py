"""Takes away what a lab made on somebody's cluster: what its journal has, of that only what carries its mark.

netdojo's canary (`labs.kube.canary`) is shared by all labs on a cluster, whoever runs them: the last one takes it away,
but for one that stood before the first of them came.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.kube import canary
from labs.kube.api import Refused
from labs.kube.mirror import Mirror
from labs.kube.patience import kind_of
from labs.kubeconfig.keeper import is_marked, is_of_a_lab
from labs.kubeconfig.scope import Ref

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.kube.api import Api, Resource
    from labs.kubeconfig.journal import Journal

_GONE_SECONDS = 120.0
_CALICO = "projectcalico.org/v3"
_CANARY = (
    Ref("v1", "Namespace", canary.NAMESPACE),
    Ref(_CALICO, "GlobalNetworkPolicy", canary.NAMESPACE),
    Ref(_CALICO, "GlobalNetworkSet", canary.NAMESPACE),
)
_STORED = "crd.projectcalico.org/v1"
_CANARY_AS_STORED = (
    Ref("v1", "Namespace", canary.NAMESPACE),
    Ref(_STORED, "GlobalNetworkPolicy", canary.NAMESPACE),
    Ref(_STORED, "GlobalNetworkPolicy", f"default.{canary.NAMESPACE}"),
    Ref(_STORED, "GlobalNetworkSet", canary.NAMESPACE),
)
"""The same where Calico's API server is silent, for ever perhaps. It may write the tier before a policy's name."""


async def remove(api: Api, journal: Journal) -> None:
    """Remove it all, and return when it is gone.

    Raises:
        InfrastructureError: the cluster does not do it, or does not answer; doing it again goes on.
    """
    try:
        doomed = await _doomed(api, journal)
        await asyncio.gather(*(_delete(api, resource, item) for resource, item in doomed))
    except Refused as refused:
        raise InfrastructureError(
            f"the cluster of context {journal.context} does not show or delete the lab's objects: {refused.message}",
            remedy="stop the lab again when you may get and delete them; `netdojo lab status` shows it until then",
        ) from refused
    await _gone(api, doomed, journal)


async def _doomed(api: Api, journal: Journal) -> list[tuple[Resource, Manifest]]:
    """What is there of it, and the canary where this lab is the last."""
    spaces = tuple(Ref("v1", "Namespace", name) for name in journal.namespaces)
    doomed = [found for found in [await _mine(api, item, journal) for item in (*journal.objects, *spaces)] if found]
    namespaces = await _resource(api, Ref("v1", "Namespace", ""))
    if journal.canary and namespaces is not None and not await _others(api, namespaces, journal):
        is_silent = _CALICO in await api.silent() and any(each.api_version == _STORED for each in await api.resources())
        for item in _CANARY_AS_STORED if is_silent else _CANARY:
            with contextlib.suppress(Refused):  # who may not see a kind has not made any, and ends a lab all the same
                found = await _found(api, item)
                doomed += [found] if found else []
    return doomed


async def takes_canary(api: Api, journal: Journal) -> bool:
    """Whether the canary is the labs' to take away: it is not there yet, or another lab is, which brought it."""
    namespaces = await _resource(api, _CANARY[0])
    return await _found(api, _CANARY[0]) is None or namespaces is None or await _others(api, namespaces, journal)


async def _mine(api: Api, item: Ref, journal: Journal) -> tuple[Resource, Manifest] | None:
    found = await _found(api, item)
    return found if found is not None and is_marked(found[1], journal) else None


async def _found(api: Api, item: Ref) -> tuple[Resource, Manifest] | None:
    resource = await _resource(api, item)
    found = await api.get(resource, item.namespace, item.name) if resource is not None else None
    return (resource, found) if resource is not None and found is not None else None


async def _resource(api: Api, item: Ref) -> Resource | None:
    return await kind_of(api, {"apiVersion": item.api, "kind": item.kind})


async def _others(api: Api, namespaces: Resource, journal: Journal) -> bool:
    """Whether other labs run on the cluster."""
    listed = await api.list(namespaces)
    return any(is_of_a_lab(item) and not is_marked(item, journal) for item in listed.items)


async def _delete(api: Api, resource: Resource, item: Manifest) -> None:
    """Ask for the end of an object; the pods of a namespace are hastened, a lab keeps nothing worth their grace."""
    name, namespace = str(item["metadata"]["name"]), str(item["metadata"].get("namespace") or "")
    await api.delete(resource, namespace, name)
    pods = await _resource(api, Ref("v1", "Pod", ""))
    if resource.kind == "Namespace" and pods is not None:
        listed = await api.list(pods, name)
        await asyncio.gather(*(api.delete(pods, name, str(pod["metadata"]["name"]), grace=0) for pod in listed.items))


async def _gone(api: Api, doomed: list[tuple[Resource, Manifest]], journal: Journal) -> None:
    mirror = Mirror(api)
    try:
        await mirror.follow({resource for resource, _ in doomed})

        def left() -> list[str]:
            return [
                str(now["metadata"]["name"])
                for resource, item in doomed
                for now in mirror.objects(resource).values()
                if now["metadata"]["uid"] == item["metadata"]["uid"]
            ]

        if await mirror.until(lambda: not left() or None, _GONE_SECONDS) is None:
            raise InfrastructureError(
                f"these do not go away on the cluster of context {journal.context}: {', '.join(left())}",
                remedy="kubectl get them with -o yaml: a finalizer may hold them; then stop the lab again",
            )
    finally:
        mirror.close()
