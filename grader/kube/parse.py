"""JSON objects to the models of `grader.kube.model`; errors name the field's path as the API server does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from content.collector import uncollected
from content.errors import BrokenContentError, Defect
from grader.calico.model import (
    CalicoPolicy,
    CalicoTier,
    FelixConfiguration,
    HostEndpoint,
    IPPool,
    NetworkSet,
    Profile,
)
from grader.calico.parse import KINDS as CALICO_KINDS
from grader.calico.parse import NAMESPACED as CALICO_NAMESPACED
from grader.calico.parse import VERSIONS as CALICO_VERSIONS
from grader.calico.parse import read_calico
from grader.kube.cluster_model import ClusterPolicy
from grader.kube.cluster_policies import KINDS as CLUSTER_KINDS
from grader.kube.cluster_policies import read_cluster_policy
from grader.kube.core import NAME_LABEL, read_namespace, read_node, read_service, read_service_account, read_slice
from grader.kube.fields import Known, Problems, quote
from grader.kube.http import CLUSTER_WIDE as HTTP_CLUSTER_WIDE
from grader.kube.http import NAMESPACED as HTTP_NAMESPACED
from grader.kube.http import read_http
from grader.kube.http_model import Gateway, GatewayClass, Ingress, IngressClass, ReferenceGrant, Route
from grader.kube.model import (
    EndpointSlice,
    Namespace,
    NetworkPolicy,
    Node,
    Objects,
    Origin,
    Pod,
    Service,
    ServiceAccount,
)
from grader.kube.pods import MAX_STAND_INS, Owner, Workload, read_owner, read_pod, read_workload, top_owner
from grader.kube.policies import read_policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grader.ports import Manifest

_CALICO = {f"{version}/{kind}" for version in CALICO_VERSIONS for kind in CALICO_KINDS}
_SLICE = "discovery.k8s.io/v1/EndpointSlice"
_POLICY = "networking.k8s.io/v1/NetworkPolicy"
_WORKLOADS = {
    "v1/ReplicationController",
    "apps/v1/Deployment",
    "apps/v1/ReplicaSet",
    "apps/v1/StatefulSet",
    "apps/v1/DaemonSet",
    "batch/v1/Job",
    "batch/v1/CronJob",
}
_READ = {
    "v1/Namespace",
    "v1/Node",
    *_WORKLOADS,
    *_CALICO,
    *CLUSTER_KINDS,
    *HTTP_CLUSTER_WIDE,
    *HTTP_NAMESPACED,
    "v1/Pod",
    "v1/Service",
    "v1/ServiceAccount",
    _SLICE,
    _POLICY,
}
_Kept = TypeVar("_Kept")
_OLD_GROUPS = {"extensions", "apps", "batch", "networking.k8s.io"}


def read_objects(
    manifests: Iterable[Manifest],
    *,
    default_namespace: str = "default",
    origins: Iterable[Origin] = (),
    lenient: bool = False,
) -> Objects:
    """Parse every object that decides traffic.

    Namespaces that objects use and nobody declares are implied. A workload that owns no pod gets a stand-in pod a
    replica (at most `MAX_STAND_INS`), named after it. Of two objects of one name the later counts, as when applied.

    Args:
        manifests: objects as JSON gives them; lists (`kind: List`, `PodList`) are taken apart.
        default_namespace: for objects that name none.
        origins: where each manifest came from, in the same order; may be shorter.
        lenient: take names and the like that no API server would: recorded cases of other tools have such.

    Raises:
        content.errors.BrokenContentError: an object that the API would refuse, by kind, name and field path.
    """
    reading = _Reading(default_namespace, lenient=lenient)
    with uncollected():
        for manifest, origin in zip(manifests, chain(origins, repeat(Origin()))):  # noqa: B905 - the second never ends
            for single in _unfold(manifest):
                reading.add(single, origin)
    if reading.defects:
        raise BrokenContentError(reading.defects)
    return reading.finish()


def _unfold(manifest: Manifest) -> Iterator[Manifest]:
    kind = manifest.get("kind") if isinstance(manifest, Mapping) else None
    items = manifest.get("items") if isinstance(kind, str) and kind.endswith("List") else None
    if not isinstance(items, list):
        yield manifest
        return
    for item in items:
        if isinstance(item, dict) and kind != "List":
            yield {"apiVersion": manifest.get("apiVersion"), "kind": str(kind).removesuffix("List"), **item}
        else:
            yield item


class _Reading:
    """One pass over the objects of a snapshot."""

    def __init__(self, default_namespace: str, *, lenient: bool) -> None:
        self.default_namespace = default_namespace
        self.lenient = lenient
        self.known: Known = {}
        self.defects: list[Defect] = []
        self.namespaces: dict[str, Namespace] = {}
        self.nodes: dict[str, Node] = {}
        self.pods: dict[tuple[str, str], tuple[Pod, Owner | None]] = {}
        self.services: dict[tuple[str, str], Service] = {}
        self.policies: dict[tuple[str, str], NetworkPolicy] = {}
        self.workloads: dict[tuple[str, str, str], Workload] = {}
        self.others: dict[tuple[type, str, str, str], Any] = {}
        self.used: set[str] = set()
        self.passed_over: Counter[str] = Counter()

    def add(self, manifest: Any, origin: Origin) -> None:  # noqa: ANN401 - a stranger's file may hold anything
        problems = Problems(lenient=self.lenient, known=self.known)
        fields: Mapping[str, Any] = manifest if isinstance(manifest, Mapping) else {}
        if fields is not manifest:
            problems.found.append(f"{quote(manifest)} is no Kubernetes object: it must be a mapping of fields")
        version = problems.text(fields.get("apiVersion"), "apiVersion")
        kind = problems.text(fields.get("kind"), "kind")
        for field, value in (("apiVersion", version), ("kind", kind)):
            if not value and not problems.found:
                problems.required(field)
        name = ""
        if f"{version}/{kind}" in _READ:
            metadata = problems.mapping(fields.get("metadata"), "metadata")
            generated = problems.text(metadata.get("generateName"), "metadata.generateName").rstrip("-")
            name = problems.name(metadata.get("name") or generated, "metadata.name")
            self._read(f"{version}/{kind}", fields, name, origin, problems)
        elif kind:
            self._pass_over(version, kind, problems)
        self.defects.extend(
            Defect(Path(origin.file or "objects"), origin.line, f"{kind or 'object'} {name}".rstrip() + f": {problem}")
            for problem in dict.fromkeys(problems.found)  # several readers may look at one field
        )

    def _pass_over(self, version: str, kind: str, problems: Problems) -> None:
        group = version.rpartition("/")[0]
        if group in _OLD_GROUPS and any(known.endswith(f"/{kind}") for known in _READ):
            problems.found.append(f'no matches for kind "{kind}" in version "{version}"')
        self.passed_over[f"{kind}.{group}" if group else kind] += 1

    def _read(self, key: str, fields: Mapping[str, Any], name: str, origin: Origin, problems: Problems) -> None:
        kind = key.rpartition("/")[2]
        if key == "v1/Namespace":
            self.namespaces[name] = read_namespace(fields, name, origin, problems)
        elif key == "v1/Node":
            self.nodes[name] = read_node(fields, name, problems)
        elif key in CLUSTER_KINDS:
            self._keep(read_cluster_policy(kind, fields, name, origin, problems), kind)
        elif key in _CALICO and kind not in CALICO_NAMESPACED:
            self._keep(read_calico(kind, fields, "", name, origin, problems), kind)
        elif key in HTTP_CLUSTER_WIDE:
            self._keep(read_http(kind, fields, "", name, origin, problems), kind)
        else:
            metadata = problems.mapping(fields.get("metadata"), "metadata")
            namespace = self.default_namespace
            if metadata.get("namespace"):
                namespace = problems.name(metadata["namespace"], "metadata.namespace")
            self.used.add(namespace)
            self._read_namespaced(key, fields, namespace, name, origin, problems)

    def _read_namespaced(
        self, key: str, fields: Mapping[str, Any], namespace: str, name: str, origin: Origin, problems: Problems
    ) -> None:
        kind = key.rpartition("/")[2]
        if key == "v1/Pod":
            pod = read_pod(fields, namespace, name, origin, problems)
            self.pods[namespace, name] = pod, read_owner(fields, problems)
        elif key == "v1/Service":
            self.services[namespace, name] = read_service(fields, namespace, name, origin, problems)
        elif key == _POLICY:
            self.policies[namespace, name] = read_policy(fields, namespace, name, origin, problems)
        elif key == "v1/ServiceAccount":
            self._keep(read_service_account(fields, namespace, name, problems), kind, namespace)
        elif key == _SLICE:
            self._keep(read_slice(fields, namespace, name, problems), kind, namespace)
        elif key in _CALICO:
            self._keep(read_calico(kind, fields, namespace, name, origin, problems), kind, namespace)
        elif key in HTTP_NAMESPACED:
            self._keep(read_http(kind, fields, namespace, name, origin, problems), kind, namespace)
        else:
            self.workloads[kind, namespace, name] = read_workload(fields, namespace, name, origin, problems, kind=kind)

    def _keep(self, found: Any, kind: str, namespace: str = "") -> None:  # noqa: ANN401 - of any kind that has a name
        self.others[type(found), kind, namespace, found.name] = found

    def _kept(self, sort: type[_Kept]) -> tuple[_Kept, ...]:
        keys = sorted(key[1:] for key in self.others if key[0] is sort)
        return tuple(self.others[sort, *key] for key in keys)

    def finish(self) -> Objects:
        for name in self.used - self.namespaces.keys():
            self.namespaces[name] = Namespace(name, {NAME_LABEL: name})
        return Objects(
            namespaces=tuple(self.namespaces[name] for name in sorted(self.namespaces)),
            pods=self._owned_pods(),
            services=tuple(self.services[key] for key in sorted(self.services)),
            nodes=tuple(self.nodes[name] for name in sorted(self.nodes)),
            policies=tuple(self.policies[key] for key in sorted(self.policies)),
            passed_over=dict(sorted(self.passed_over.items())),
            service_accounts=self._kept(ServiceAccount),
            endpoint_slices=self._kept(EndpointSlice),
            cluster_policies=self._kept(ClusterPolicy),
            calico_policies=self._kept(CalicoPolicy),
            tiers=self._kept(CalicoTier),
            network_sets=self._kept(NetworkSet),
            host_endpoints=self._kept(HostEndpoint),
            profiles=self._kept(Profile),
            ip_pools=self._kept(IPPool),
            felix=self._kept(FelixConfiguration),
            ingresses=self._kept(Ingress),
            ingress_classes=self._kept(IngressClass),
            gateways=self._kept(Gateway),
            gateway_classes=self._kept(GatewayClass),
            routes=self._kept(Route),
            grants=self._kept(ReferenceGrant),
        )

    def _owned_pods(self) -> tuple[Pod, ...]:
        pods: dict[tuple[str, str], Pod] = {}
        owning: set[tuple[str, str, str]] = set()
        for key, (pod, owner) in self.pods.items():
            pods[key] = pod
            if owner is not None and owner.kind != "Node":
                top = top_owner(pod.namespace, owner, self.workloads, pod.labels)
                owning |= {(each.kind, pod.namespace, each.name) for each in (owner, top)}
                pods[key] = replace(pod, owner=top.name)
        for identity, workload in self.workloads.items():
            owner = workload.owner
            if identity in owning or (
                owner is not None and (owner.kind, workload.namespace, owner.name) in self.workloads
            ):
                continue
            if not (workload.live and self.pods):
                for pod in self._stand_ins(workload):
                    pods.setdefault((pod.namespace, pod.name), pod)
        return tuple(pods[key] for key in sorted(pods))

    def _stand_ins(self, workload: Workload) -> Iterator[Pod]:
        owner = workload.name
        if workload.owner is not None:
            owner = top_owner(workload.namespace, workload.owner, self.workloads, workload.template.labels).name
        template = replace(workload.template, owner=owner)
        if workload.kind == "DaemonSet" and self.nodes:
            for node in sorted(self.nodes)[:MAX_STAND_INS]:
                yield replace(template, name=f"{workload.name}-{node}", node=node)
            return
        first = 0 if workload.kind == "StatefulSet" else 1
        numbered = workload.replicas > 1 or (workload.namespace, workload.name) in self.pods
        for number in range(first, first + min(workload.replicas, MAX_STAND_INS)):
            yield replace(template, name=f"{workload.name}-{number}" if numbered else workload.name)
