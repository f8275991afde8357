"""A cluster's objects as they were when it was new, and how it differs from that now.

Everything that the API lists counts, known kind or not, but for what changes by itself: events, leases, heartbeats,
address management, and what controllers derive from objects that are compared anyway. Pods are compared by whom they
belong to and by their labels, for their names change.
"""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from labs.kube.api import Refused
from labs.kube.canary import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grader.ports import Manifest
    from labs.kube.api import Api, Resource

_RESTLESS_KINDS = frozenset(
    {
        *("Event", "Lease", "ControllerRevision", "ComponentStatus", "CSINode", "CertificateSigningRequest"),
        *("IPAddress", "VolumeAttachment", "ResourceSlice", "StorageVersion", "LeaseCandidate"),
        *("IPAMBlock", "IPAMHandle", "BlockAffinity", "CalicoNodeStatus"),
        *("NodeMetrics", "PodMetrics"),
    }
)
_RESTLESS_METADATA = (
    *("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "deletionTimestamp", "selfLink"),
    "deletionGracePeriodSeconds",
)
_RESTLESS_ANNOTATIONS = (
    *("endpoints.kubernetes.io/", "control-plane.alpha.kubernetes.io/", "deployment.kubernetes.io/"),
    *("deprecated.daemonset.template.generation", "node.alpha.kubernetes.io/", "volumes.kubernetes.io/"),
)
_RESTLESS_TAINTS = "node.kubernetes.io/"
"""Taints by which the node controller says how a node is."""
_EXPIRING_KEYS = "jws-kubeconfig-"
"""Keys of kubeadm's cluster-info, which go when its first token expires after a day."""
_EXPIRING_SECRET = "bootstrap.kubernetes.io/token"  # noqa: S105 - a type of secrets
_EXPIRING_NAME = "kubeadm-certs"
_DERIVED_KINDS = frozenset({"ReplicaSet", "Job", "EndpointSlice", "PersistentVolumeClaim"})
"""Kinds that controllers make out of their owners, which are compared: an owner excuses no others."""
_STATUS = "TigeraStatus"
"""Says how Calico's parts are, and nothing else."""
_OF_PODS = frozenset({"controller-revision-hash", "pod-template-generation", "apps.kubernetes.io/pod-index"})


Owner = tuple[str, str, str]
"""Whose a pod is: namespace, kind and name."""


class What(StrEnum):
    """How an object differs."""

    EXTRA = "was added"
    MISSING = "was removed"
    CHANGED = "was changed"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """An object: its kind by group and plural name, where it is, and what it is called."""

    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource} {self.namespace + '/' if self.namespace else ''}{self.name}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is not as it was."""

    key: Key
    what: What

    def __str__(self) -> str:
        return f"{self.key} {self.what}"


@dataclass(frozen=True, slots=True)
class Picture:
    """All objects that count.

    Attributes:
        objects: as they would be written back.
        pods: the labels of each owner's pods; a node's static pods differ from one another.
        live: everything that was listed, as the API has it; empty in a picture that was read from a file.
    """

    objects: Mapping[Key, Manifest]
    pods: Mapping[Owner, tuple[Mapping[str, str], ...]]
    live: Mapping[Key, Manifest] = field(default_factory=dict)

    def each_pod(self) -> Iterator[tuple[Key, Manifest]]:
        """Every pod as the API has it."""
        return ((key, item) for key, item in self.live.items() if key.resource == "pods")

    def namespaces(self) -> frozenset[str]:
        """The namespaces that there are."""
        return frozenset(key.name for key in self.objects if key.resource == "namespaces")


async def take(api: Api, served: Iterable[Resource]) -> tuple[Picture, dict[str, Resource]]:
    """The picture of these kinds as it is now, and the kinds by the names that keys use.

    Raises:
        Refused: a kind cannot be listed: a picture with holes proves nothing.
        InfrastructureError: the API does not answer.
    """
    aggregated = await _aggregated(api, served)
    kinds: dict[str, Resource] = {}
    for resource in served:
        if (
            "list" in resource.verbs
            and resource.kind not in _RESTLESS_KINDS
            and resource.api_version not in aggregated
            and "/" not in resource.plural
        ):
            kinds.setdefault(str(resource), resource)
    listed = await asyncio.gather(*(_listed(api, resource) for resource in kinds.values()))
    items = {
        Key(name, str(item["metadata"].get("namespace", "")), str(item["metadata"]["name"])): item
        for name, found in zip(kinds, listed, strict=True)
        for item in found
    }
    pods = (item for key, item in items.items() if key.resource == "pods")
    pictured = {key: plain(item) for key, item in items.items() if key.resource != "pods" and _counts(item)}
    return Picture(pictured, _by_owner(pods), items), kinds


def _by_owner(pods: Iterable[Manifest]) -> dict[Owner, tuple[dict[str, str], ...]]:
    found: dict[Owner, tuple[dict[str, str], ...]] = {}
    for pod in pods:
        owner, labels = owner_of(pod), labels_of(pod)
        if owner is not None and labels not in found.get(owner, ()):
            found[owner] = (*found.get(owner, ()), labels)
    return found


async def _aggregated(api: Api, served: Iterable[Resource]) -> frozenset[str]:
    """The versions that other servers than the API's own give: they show objects that are listed anyway."""
    kind = next((found for found in served if str(found) == "apiservices.apiregistration.k8s.io"), None)
    if kind is None:
        return frozenset()
    items = (await api.list(kind)).items
    return frozenset(
        f"{item['spec']['group']}/{item['spec']['version']}" for item in items if item["spec"].get("service")
    )


async def _listed(api: Api, resource: Resource) -> tuple[Manifest, ...]:
    try:
        return (await api.list(resource)).items
    except Refused as refused:
        if refused.code in {404, 405}:  # its definition was just removed, or it cannot be listed after all
            return ()
        raise


def _counts(item: Mapping[str, Any]) -> bool:
    metadata = item["metadata"]
    if metadata.get("namespace") == NAMESPACE or item.get("kind") == _STATUS:
        return False
    if metadata.get("ownerReferences") and item.get("kind") in _DERIVED_KINDS:
        return False
    if item.get("type") == _EXPIRING_SECRET or metadata["name"] == _EXPIRING_NAME:
        return False
    name = str(metadata["name"]).removeprefix("default.")  # the tier, in Calico's own way of keeping policies
    is_ours = name == NAMESPACE and (item.get("kind") == "Namespace" or str(item.get("kind")).startswith("Global"))
    return not is_ours and not (item.get("kind") == "Endpoints" or _is_derived_slice(item))


def _is_derived_slice(item: Mapping[str, Any]) -> bool:
    labels = item["metadata"].get("labels") or {}
    return item.get("kind") == "EndpointSlice" and "endpointslice.kubernetes.io/managed-by" in labels


def plain(item: Manifest) -> Manifest:
    """An object without what changes by itself."""
    kept = copy.deepcopy({key: value for key, value in item.items() if key != "status"})
    metadata = {key: value for key, value in kept["metadata"].items() if key not in _RESTLESS_METADATA}
    notes = metadata.get("annotations") or {}
    metadata["annotations"] = {key: value for key, value in notes.items() if not key.startswith(_RESTLESS_ANNOTATIONS)}
    kept["metadata"] = {key: value for key, value in metadata.items() if value not in ({}, None)}
    if kept.get("kind") == "Node":
        taints = [taint for taint in kept["spec"].get("taints") or () if not taint["key"].startswith(_RESTLESS_TAINTS)]
        kept["spec"] = {key: value for key, value in kept["spec"].items() if key != "taints"}
        if taints:
            kept["spec"]["taints"] = taints
    if kept.get("kind") == "ConfigMap" and kept["metadata"]["name"] == "cluster-info":
        kept["data"] = {key: value for key, value in kept["data"].items() if not key.startswith(_EXPIRING_KEYS)}
    return kept


def owner_of(pod: Mapping[str, Any]) -> Owner | None:
    """Whose a pod is: namespace, kind and name; None for nobody's."""
    owners = pod["metadata"].get("ownerReferences") or ()
    namespace = str(pod["metadata"].get("namespace", ""))
    if namespace == NAMESPACE:
        return None
    return next(
        ((namespace, str(owner["kind"]), str(owner["name"])) for owner in owners if owner.get("controller")), None
    )


def labels_of(pod: Mapping[str, Any]) -> dict[str, str]:
    """A pod's labels, without those that differ between its like."""
    return {key: value for key, value in (pod["metadata"].get("labels") or {}).items() if key not in _OF_PODS}


def differences(then: Picture, now: Picture) -> tuple[Difference, ...]:
    """How a cluster differs from how it was: namespaces that were added stand for all that is in them."""
    added = now.namespaces() - then.namespaces()
    found = [
        Difference(key, What.EXTRA) for key in now.objects if key not in then.objects and key.namespace not in added
    ]
    found += [Difference(key, What.MISSING) for key in then.objects if key not in now.objects]
    found += [
        Difference(key, What.CHANGED)
        for key, item in then.objects.items()
        if now.objects.get(key, item) != item and not item["metadata"].get("ownerReferences")  # its owner's to keep
    ]
    found += [
        Difference(key, What.EXTRA)
        for key, pod in now.each_pod()
        if key.namespace not in added and key.namespace != NAMESPACE and _is_stray(pod, then)
    ]
    return tuple(sorted(found, key=lambda each: each.key))


def _is_stray(pod: Mapping[str, Any], then: Picture) -> bool:
    owner = owner_of(pod)
    return owner is None or labels_of(pod) not in then.pods.get(owner, ())
