"""Whether a cluster works: its nodes, Calico, and all that runs in it. Watches tell, but for which kinds there are."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.kind.calico import operator
from labs.kube import ready
from labs.kube.api import Refused
from labs.kube.resources import resource_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from grader.ports import Manifest
    from labs.kube.api import Api, Resource
    from labs.kube.mirror import Mirror

APIS = "apiservices.apiregistration.k8s.io"
_TELLING = frozenset(
    {
        *("nodes", "pods", "deployments.apps", "daemonsets.apps"),
        *(APIS, "tigerastatuses.operator.tigera.io"),
    }
)
"""Kinds whose objects tell whether a cluster works."""
_AGAIN_SECONDS = 0.3
_TOUCHED = "netdojo-touched"


async def wait(api: Api, mirror: Mirror, tell: Callable[[str], None], seconds: float) -> None:
    """Return when nodes, Calico, and all workloads of the cluster are ready, by the kinds that are known to be served.

    Raises:
        InfrastructureError: they are not in time; the message says which, and why.
    """
    kinds = [found for found in await api.resources() if str(found) in _TELLING]
    await mirror.follow(kinds)
    said = ""

    def lateness_now() -> list[str]:
        return late((str(resource), item) for resource in kinds for item in mirror.objects(resource).values())

    def done() -> bool | None:
        nonlocal said
        found = lateness_now()
        if found and found[0] != said:
            said = found[0]
            tell(f"waiting for {said}" + (f" and {len(found) - 1} more" if len(found) > 1 else ""))
        return not found or None

    if await mirror.until(done, seconds) is None:
        raise InfrastructureError(
            f"the cluster is not ready after {seconds:.0f} s: {'; '.join(lateness_now())}",
            remedy="an image may be missing and not be fetched: netdojo lab prepare brings it; or the machine has too "
            "little memory: netdojo doctor says",
        )
    if said:
        await api.resources(again=True)  # what was waited for may serve more kinds
    apis = (item for kind in kinds if str(kind) == APIS for item in mirror.objects(kind).values())
    await discovered(api, apis, seconds)


async def discovered(api: Api, services: Iterable[Manifest], seconds: float) -> None:
    """Return when the kinds that other servers than the API's own give are known, to kubectl too, by their APIServices.

    They may be available and not be known yet. The API asks for them when an APIService changes, and once a minute
    (k8s.io/kube-aggregator pkg/apiserver/handler_discovery.go): so those are changed, and changed back.

    Raises:
        InfrastructureError: they are not in time.
    """
    wanted = {str(item["metadata"]["name"]): item for item in services if item["spec"].get("service")}
    limit, found = asyncio.get_running_loop().time() + seconds, await api.resources()
    while missing := sorted(wanted.keys() - _known(found, await api.stale())):
        if asyncio.get_running_loop().time() > limit:
            raise InfrastructureError(
                f"the cluster does not say what the API {missing[0]} serves",
                remedy="kubectl get apiservices shows whether it is available; kubectl api-resources what is known",
            )
        await _touch(api, [wanted[name] for name in missing])
        await asyncio.sleep(_AGAIN_SECONDS)  # discovery cannot be watched
        found = await api.resources(again=True)


def _known(kinds: Iterable[Resource], stale: Collection[str]) -> set[str]:
    """Versions as APIServices are named: version.group."""
    return {f"{each.version}.{each.group}" for each in kinds if each.api_version not in stale}


async def _touch(api: Api, services: Iterable[Manifest]) -> None:
    """Change these and change them back; where that is not allowed, a minute is waited."""
    for item in services:
        name, resource = {"name": item["metadata"]["name"]}, resource_of(item, await api.resources())
        head = {"apiVersion": item["apiVersion"], "kind": item["kind"]}
        with contextlib.suppress(Refused):
            for metadata in ({**name, "annotations": {_TOUCHED: "now"}}, name):
                if resource is not None:
                    await api.apply(resource, "", {**head, "metadata": metadata}, _TOUCHED)


def late(items: Iterable[tuple[str, Manifest]]) -> list[str]:
    """What of these objects, each with its kind as `plural.group`, is not ready yet, and why."""
    return [why for resource, item in items if resource in _TELLING and (why := lateness(str(item["kind"]), item))]


def lateness(kind: str, item: Manifest) -> str:
    """Why an object is not as it is in a cluster that works; empty when it is."""
    name = item["metadata"]["name"]
    if kind == "Node":
        return "" if ready.node(item) else f"node {name}"
    if kind == "Pod":
        why = ready.pod(item)
        return f"pod {item['metadata']['namespace']}/{name}: {why}" if why and ready.is_hopeless(item) else ""
    if kind == "APIService":
        conditions = (item.get("status") or {}).get("conditions") or ()
        available = any(found["type"] == "Available" and found["status"] == "True" for found in conditions)
        return "" if available else f"the API {name}"
    if kind == operator.STATUS_KIND:
        return operator.unavailable(item)
    why = ready.workload(item)
    return f"{kind.lower()} {item['metadata']['namespace']}/{name}: {why}" if why else ""
