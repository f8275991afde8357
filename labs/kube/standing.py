"""The canary's pods on the cluster: made once, left standing, mended when somebody has touched them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.kube import canary, ready
from labs.kube.api import Refused
from labs.kube.canary import NAMESPACE, Signal
from labs.kube.mirror import key_of
from labs.kube.resources import resource_of
from labs.kube.signals import served

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.ports import Manifest
    from labs.kube.api import Api, Resource
    from labs.kube.mirror import Key, Mirror
    from labs.kube.turns import Turns

_READY_SECONDS = 180.0
_GONE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Stand:
    """The canary as it runs now.

    Attributes:
        nodes: the address of each node's server, by the node's name; nodes that are not ready are left out.
        servers: the same by the server's pod.
        clients: the addresses of the clients.
        service: the cluster's address of the canary's Service.
        given: the signals that its rules can give.
        absent: the nodes that are not ready.
    """

    nodes: Mapping[str, str]
    servers: Mapping[str, str]
    clients: tuple[str, ...]
    service: str
    given: frozenset[Signal]
    absent: tuple[str, ...] = ()


class Canary:
    """Makes the canary stand.

    Args:
        api: the cluster's API.
        mirror: follows nodes and pods.
        image: what the pods run.
        turns: remembers how its rules were written.
    """

    def __init__(self, api: Api, mirror: Mirror, image: str, turns: Turns) -> None:
        self._api = api
        self._mirror = mirror
        self._image = image
        self._turns = turns
        self._made_for: frozenset[Signal] = frozenset()

    async def stand(self) -> Stand:
        """The canary, made or mended where it is not as it has to be.

        Raises:
            InfrastructureError: it cannot run.
        """
        nodes, pods = await self._resource("v1", "Node"), await self._resource("v1", "Pod")
        await self._mirror.follow((nodes, pods))
        every = {name: ready.node(node) for (_, name), node in self._mirror.objects(nodes).items()}
        names = tuple(sorted(name for name, is_ready in every.items() if is_ready))
        if not names:
            raise InfrastructureError(
                "no node of the cluster is ready", remedy="kubectl get nodes shows them; then start the lab again"
            )
        wanted = {canary.name(role, node): node for node in names for role in ("client", "server")}
        there = await self._there(pods)  # asked, since the watches may not have told of what was just deleted
        given = served(await self._api.resources())  # Calico's server may answer only now
        if self._made_for != given and await self._is_as_made(names, there, given):
            self._made_for = given
        if self._made_for != given or wanted.keys() - _running(there):
            await self._make(pods, names, wanted, there, given)
            there = await self._there(pods)
        at = {name: str((found.get("status") or {}).get("podIP", "")) for (_, name), found in there.items()}
        by_node = {node: at[canary.name("server", node)] for node in names}
        clients = tuple(at[canary.name("client", node)] for node in names)
        only = {canary.name("server", node): address for node, address in by_node.items()}
        absent = tuple(sorted(every.keys() - set(names)))
        return Stand(by_node, only, clients, await self._service(only), given, absent)

    async def _there(self, pods: Resource) -> dict[Key, Manifest]:
        return {key_of(item): item for item in (await self._api.list(pods, NAMESPACE)).items}

    async def _is_as_made(self, names: Sequence[str], there: Mapping[Key, Manifest], given: frozenset[Signal]) -> bool:
        """Whether nobody has touched its rules since they were written last, and its pods are what they have to be."""
        kept = self._turns.rules()
        rules = canary.rules(calico=Signal.CALICO_POLICY in given)
        if {_called(item) for item in rules} != kept.keys():
            return False
        versions = {str(item["apiVersion"]) for item in rules}
        kinds = [await self._resource(version, "NetworkPolicy") for version in sorted(versions)]
        try:
            lists = await asyncio.gather(*(self._api.list(kind, NAMESPACE) for kind in kinds))
        except Refused:
            return False  # who writes them is told why
        found = {_called(item): _version(item) for listed in lists for item in listed.items}
        pods = canary.pods(names, self._image)
        return kept.items() <= found.items() and all(_is_such(there.get(key_of(pod)), pod) for pod in pods)

    def _told(self, pods: Resource) -> dict[Key, Manifest]:
        return {key: item for key, item in self._mirror.objects(pods).items() if key[0] == NAMESPACE}

    async def _make(
        self,
        pods: Resource,
        names: Sequence[str],
        wanted: Mapping[str, str],
        there: Mapping[Key, Manifest],
        given: frozenset[Signal],
    ) -> None:
        try:
            for item in canary.grounds():
                await self._apply(item)
            await self._remove(pods, _ended(there, wanted))
            rules = canary.rules(calico=Signal.CALICO_POLICY in given)
            writing = asyncio.gather(*(self._apply_pod(pods, item) for item in canary.pods(names, self._image)))
            versions = await asyncio.gather(*(self._apply(item) for item in rules))
            await writing
            self._turns.note_rules(dict(zip(map(_called, rules), versions, strict=True)))
        except Refused as refused:
            raise InfrastructureError(
                f"the cluster does not take the canary that proves enforcement: {refused.message}",
                remedy=f"delete the namespace {NAMESPACE} and try again; the kubeconfig's user has to be allowed to "
                "make namespaces, pods and policies in it",
            ) from refused
        if (
            await self._mirror.until(lambda: wanted.keys() <= _running(self._told(pods)) or None, _READY_SECONDS)
            is None
        ):
            raise InfrastructureError(
                f"the canary that proves enforcement does not run: {'; '.join(self._why(pods, wanted))}",
                remedy=f"its image is {self._image}; kubectl -n {NAMESPACE} describe pods says more",
            )
        self._made_for = given

    async def _apply_pod(self, pods: Resource, item: Manifest) -> None:
        """Apply; a pod that is not as it has to be, and cannot be changed, is made again."""
        try:
            await self._apply(item)
        except Refused as refused:
            if refused.code not in {409, 422}:
                raise
            await self._remove(pods, [(NAMESPACE, str(item["metadata"]["name"]))])
            await self._apply(item)

    async def _remove(self, pods: Resource, keys: Sequence[Key]) -> None:
        await asyncio.gather(*(self._api.delete(pods, *key, grace=0) for key in keys))
        await self._mirror.until(lambda: not self._mirror.objects(pods).keys() & set(keys) or None, _GONE_SECONDS)

    def _why(self, pods: Resource, wanted: Mapping[str, str]) -> list[str]:
        told = self._told(pods)
        found = {name: told.get((NAMESPACE, name)) for name in sorted(wanted.keys() - _running(told))}
        return [f"{name} on {wanted[name]}: {ready.pod(pod) if pod else 'not there'}" for name, pod in found.items()]

    async def _service(self, servers: Mapping[str, str]) -> str:
        """The Service's address; the Service is made when it is not there."""
        resource = await self._resource("v1", "Service")
        found = await self._api.get(resource, NAMESPACE, canary.SERVICE)
        if found is None:
            item = canary.turned(Signal.SERVICE, 0, servers)[0]
            found = await self._api.apply(resource, NAMESPACE, item)
        return str(found["spec"]["clusterIP"])

    async def _apply(self, item: Manifest) -> str:
        """Apply; its resource version then."""
        resource = await self._resource(item["apiVersion"], item["kind"])
        return _version(await self._api.apply(resource, item["metadata"].get("namespace", ""), item))

    async def _resource(self, version: str, kind: str) -> Resource:
        found = resource_of({"apiVersion": version, "kind": kind}, await self._api.resources())
        if found is None:
            raise InfrastructureError(f"the cluster does not serve {kind} ({version})")
        return found


def _called(item: Manifest) -> str:
    return f"{item['apiVersion']}/{item['kind']}/{item['metadata']['name']}"


def _version(item: Manifest) -> str:
    return str(item["metadata"].get("resourceVersion", ""))


def _is_such(there: Manifest | None, wanted: Manifest) -> bool:
    """Whether a pod of the canary is as it would be made, in all that can be changed and that counts."""
    if there is None:
        return False
    labels, container = there["metadata"].get("labels") or {}, there["spec"]["containers"][0]
    is_labelled: bool = wanted["metadata"]["labels"].items() <= labels.items()
    return is_labelled and bool(container["image"] == wanted["spec"]["containers"][0]["image"])


def _running(there: Mapping[Key, Manifest]) -> set[str]:
    return {name for (_, name), pod in there.items() if ready.pod(pod) == "" and not ready.is_over(pod)}


def _ended(there: Mapping[Key, Manifest], wanted: Mapping[str, str]) -> list[Key]:
    """Pods of the canary that will never be ready again, or that nobody wants any more."""
    return [
        key
        for key, pod in there.items()
        if key[1] not in wanted or ready.is_over(pod) or pod["metadata"].get("deletionTimestamp")
    ]
