"""Waits, on the mirror, until what was written runs: workloads, their pods, the endpoints of Services, deletions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from grader.errors import InfrastructureError
from labs.kube import ready
from labs.kube.canary import NAMESPACE
from labs.kube.mirror import key_of
from labs.kube.resources import deciding
from labs.kube.signals import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from grader.ports import Manifest
    from labs.kube.api import Api, Resource
    from labs.kube.mirror import Mirror

READY_SECONDS = 180.0
_HOPELESS_SECONDS = 12.0
"""How long an image that cannot be pulled is given: its first failure may be the registry's mood."""
_ENDPOINT_SECONDS = 30.0
_CALM_SECONDS = 30.0
"""How long somebody else's pods are given; also how long after its making a pod counts as on its way."""

_BASIC = frozenset({"Namespace", "Pod", "Service", "EndpointSlice"})

Written = tuple["Resource", "Manifest"]


class Waiter:
    """Waits for one cluster's objects.

    Args:
        api: its API.
        mirror: follows the kinds that are waited for.
    """

    def __init__(self, api: Api, mirror: Mirror) -> None:
        self._api = api
        self._mirror = mirror
        self._kinds: dict[str, Resource] = {}

    async def follow(self, resources: Iterable[Resource] = (), *, workloads: bool = True) -> None:
        """Follow pods, Services and their slices, these kinds, and all workloads where they are wanted.

        Raises:
            InfrastructureError: they cannot be followed.
        """
        known = deciding(await self._api.resources())
        wanted, owners = set(resources), WORKLOADS - {"Job", "CronJob"}
        basic = {found.kind: found for found in known if found.kind in _BASIC | owners and "calico" not in found.group}
        kinds = {kind: found for kind, found in basic.items() if workloads or kind in _BASIC or found in wanted}
        await self._mirror.follow(found for found in known if found in wanted or found in kinds.values())
        self._kinds |= kinds

    def all(self, kind: str) -> tuple[Manifest, ...]:
        """The objects of a basic kind as they were told."""
        return tuple(self._mirror.objects(self._kinds[kind]).values()) if kind in self._kinds else ()

    @property
    def kinds(self) -> Mapping[str, Resource]:
        """Those of the basic kinds and of the workloads that are followed, by name."""
        return self._kinds

    async def ready(self, written: Sequence[Written]) -> None:
        """Return when the watches have told of these objects, and the workloads among them run.

        Raises:
            InfrastructureError: some do not run in time; the message says which, and why.
        """
        hopeless: dict[str, float] = {}

        def outcome() -> str | None:
            if not all(self._mirror.seen(resource, item) for resource, item in written):
                return None
            late = {called(item) for resource, item in written if self._late(resource, item, hopeless)}
            if not late:
                return "ready"
            waited = _now() - max(hopeless.values(), default=_now())
            return "hopeless" if hopeless.keys() >= late and waited > _HOPELESS_SECONDS else None

        if await self._mirror.until(outcome, READY_SECONDS) == "ready":
            return
        late = [(resource, item) for resource, item in written if self._late(resource, item, {})]
        raise InfrastructureError(
            "these do not run: " + "; ".join(f"{called(item)}: {self._why(resource, item)}" for resource, item in late),
            remedy="kubectl describe says more of each; an image has to be in the cluster's nodes, or in a registry "
            "that they reach (netdojo lab prepare loads the labs' own)",
        )

    def _late(self, resource: Resource, written: Manifest, hopeless: dict[str, float]) -> str:
        """Why a workload does not run yet; notes since when it looks hopeless."""
        if resource.kind not in WORKLOADS or resource not in self._kinds.values():
            return ""
        item = self._mirror.objects(resource).get(key_of(written))
        if item is None:
            return "it was deleted again"
        why = ready.pod(item) if resource.kind == "Pod" else ready.workload(item)
        if why and any(ready.is_hopeless(pod) for pod in self._pods_of(resource, item)):
            hopeless.setdefault(called(written), _now())
        return why

    def _why(self, resource: Resource, written: Manifest) -> str:
        item = self._mirror.objects(resource).get(key_of(written), written)
        reasons = [why for pod in self._pods_of(resource, item) if (why := ready.pod(pod))]
        return reasons[0] if reasons else self._late(resource, written, {})

    async def endpoints(self, namespaces: Collection[str]) -> bool:
        """Return when the slices of all Services there follow their pods; whether there are any Services.

        Raises:
            InfrastructureError: they do not in time.
        """
        names = [key for key in self._mirror.objects(self._kinds["Service"]) if key[0] in namespaces]
        if (
            names
            and await self._mirror.until(lambda: not self._unfollowed(namespaces) or None, _ENDPOINT_SECONDS) is None
        ):
            raise InfrastructureError(
                f"the endpoints of Services do not follow their pods: {'; '.join(self._unfollowed(namespaces))}",
                remedy="the cluster's kube-controller-manager may not run: kubectl get pods -n kube-system",
            )
        return bool(names)

    def _unfollowed(self, namespaces: Collection[str]) -> list[str]:
        pods, slices = _by_namespace(self.all("Pod")), _by_namespace(self.all("EndpointSlice"))
        found = []
        for (namespace, name), service in self._mirror.objects(self._kinds["Service"]).items():
            if namespace in namespaces:
                why = ready.endpoints(service, pods.get(namespace, ()), slices.get(namespace, ()))
                found += [f"{namespace}/{name}: {why}"] if why else []
        return found

    async def calm(self) -> None:
        """Give pods that are on their way a moment, whoever made them, and the slices of Services."""
        everywhere = {str(item["metadata"]["name"]) for item in self.all("Namespace")}
        await self._mirror.until(
            lambda: not (self._on_its_way() or self._unfollowed(everywhere)) or None, _CALM_SECONDS
        )

    def _on_its_way(self) -> bool:
        """Whether a pod that may still come is not ready, or a workload that is new lacks pods."""
        pods = [pod for pod in self.all("Pod") if pod["metadata"]["namespace"] != NAMESPACE]
        if any(ready.pod(pod) and _is_young(pod) and not ready.is_hopeless(pod) for pod in pods):
            return True
        return any(
            ready.workload(item) and not any(ready.pod(pod) for pod in self._pods_of(resource, item))
            for kind, resource in self._kinds.items()
            if kind in WORKLOADS and kind != "Pod"
            for item in self._mirror.objects(resource).values()
        )

    def _pods_of(self, resource: Resource, item: Manifest) -> list[Manifest]:
        if resource.kind == "Pod":
            return [item]
        selector = (item.get("spec") or {}).get("selector") or {}
        labels = selector.get("matchLabels", selector if resource.kind == "ReplicationController" else {})
        return [
            pod
            for pod in self.all("Pod")
            if pod["metadata"]["namespace"] == item["metadata"]["namespace"]
            and labels
            and labels.items() <= (pod["metadata"].get("labels") or {}).items()
        ]


def called(item: Mapping[str, Any]) -> str:
    """An object as kubectl writes it, with its namespace: kind namespace/name."""
    namespace, name = key_of(dict(item))
    return f"{str(item.get('kind', 'object')).lower()} {namespace + '/' if namespace else ''}{name}"


def _by_namespace(items: Iterable[Manifest]) -> dict[str, list[Manifest]]:
    found: dict[str, list[Manifest]] = {}
    for item in items:
        found.setdefault(str(item["metadata"]["namespace"]), []).append(item)
    return found


def _is_young(pod: Manifest) -> bool:
    """Whether a pod was made, or told to end, so shortly ago that it may still be on its way."""
    metadata = pod["metadata"]
    times = [metadata.get("creationTimestamp"), metadata.get("deletionTimestamp")]
    since = max((datetime.fromisoformat(str(time)).timestamp() for time in times if time), default=0.0)
    return _now() - since < _CALM_SECONDS


def _now() -> float:
    return datetime.now(UTC).timestamp()
