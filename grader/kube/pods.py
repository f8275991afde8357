"""Pods, and the workloads whose pods are not there yet.

A folder of manifests holds Deployments and no pods; a snapshot of a cluster holds both. Either way the evaluator sees
pods: a workload that owns none gets stand-ins made from its template.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from grader.kube.model import ContainerPort, Pod

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from grader.kube.fields import Problems
    from grader.kube.model import Address, Origin

MAX_STAND_INS = 16
"""Replicas of one template are alike to every policy: more of them would show nothing new."""

_CRON_RUN = re.compile(r"(.+)-\d{8,}\Z")


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller that a pod or a workload names in its ownerReferences."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Workload:
    """A controller's template. `live` tells that it came from a cluster (it has a uid), where pods are facts."""

    kind: str
    namespace: str
    name: str
    replicas: int
    template: Pod
    owner: Owner | None
    live: bool


def read_owner(manifest: Mapping[str, Any], problems: Problems) -> Owner | None:
    """Return the controlling owner: the reference marked `controller`, else the first."""
    metadata = problems.mapping(manifest.get("metadata"), "metadata")
    listed = metadata.get("ownerReferences")
    return problems.once("owners", listed, lambda: _controlling(listed, problems))


def _controlling(listed: object, problems: Problems) -> Owner | None:
    references = [
        problems.mapping(entry, f"metadata.ownerReferences[{index}]")
        for index, entry in enumerate(problems.sequence(listed, "metadata.ownerReferences"))
    ]
    for reference in sorted(references, key=lambda reference: reference.get("controller") is not True):
        return Owner(str(reference.get("kind", "")), str(reference.get("name", "")))
    return None


def top_owner(
    namespace: str, owner: Owner, workloads: Mapping[tuple[str, str, str], Workload], labels: Mapping[str, str]
) -> Owner:
    """Return the workload that people know: the Deployment behind a ReplicaSet, the CronJob behind a Job.

    Where the object between is not in the snapshot, its generated name gives the answer: a ReplicaSet's ends with the
    label `pod-template-hash`, a CronJob's run with the minute it was due.
    """
    between = workloads.get((owner.kind, namespace, owner.name))
    if between is not None and between.owner is not None:
        return between.owner
    template_hash = labels.get("pod-template-hash", "")
    if owner.kind == "ReplicaSet" and template_hash and owner.name.endswith(f"-{template_hash}"):
        return Owner("Deployment", owner.name.removesuffix(f"-{template_hash}"))
    if owner.kind == "Job" and between is None and (run := _CRON_RUN.match(owner.name)):
        return Owner("CronJob", run.group(1))
    return owner


def read_pod(
    manifest: Mapping[str, Any], namespace: str, name: str, origin: Origin, problems: Problems, *, path: str = ""
) -> Pod:
    """Return the pod as declared; `owner` is its own name until `top_owner` is asked.

    Pods that are being deleted still have traffic; those in phase Succeeded or Failed have none.
    """
    metadata = problems.mapping(manifest.get("metadata"), f"{path}metadata")
    spec = problems.mapping(manifest.get("spec"), f"{path}spec")
    status = problems.mapping(manifest.get("status"), f"{path}status")
    labels = metadata.get("labels")
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    return Pod(
        namespace=namespace,
        name=name,
        labels=problems.once("labels", labels, lambda: problems.labels(labels, f"{path}metadata.labels")),
        ports=_read_ports(spec, path, problems),
        addresses=_read_addresses(status, f"{path}status", problems),
        node=problems.text(spec.get("nodeName"), f"{path}spec.nodeName"),
        host_address=read_address(status.get("hostIP"), f"{path}status.hostIP", problems),
        host_network=problems.flag(spec.get("hostNetwork"), f"{path}spec.hostNetwork"),
        service_account=problems.text(account, f"{path}spec.serviceAccountName") or "default",
        owner=name,
        finished=status.get("phase") in ("Succeeded", "Failed"),
        origin=origin,
    )


def _read_ports(spec: Mapping[str, Any], path: str, problems: Problems) -> tuple[ContainerPort, ...]:
    ports: tuple[ContainerPort, ...] = ()
    for group in ("initContainers", "containers"):
        listed = spec.get(group)
        if listed is not None:
            where = f"{path}spec.{group}"
            ports += problems.once("ports", listed, lambda: tuple(_container_ports(listed, where, problems)))  # noqa: B023 - at once
    return ports


def _container_ports(listed: object, path: str, problems: Problems) -> Iterable[ContainerPort]:
    for i, value in enumerate(problems.sequence(listed, path)):
        where = f"{path}[{i}]"
        container = problems.mapping(value, where)
        for j, entry in enumerate(problems.sequence(container.get("ports"), f"{where}.ports")):
            fields = problems.mapping(entry, f"{where}.ports[{j}]")
            name = problems.text(fields.get("name"), f"{where}.ports[{j}].name")
            yield ContainerPort(
                problems.port(fields.get("containerPort"), f"{where}.ports[{j}].containerPort"),
                problems.protocol(fields.get("protocol"), f"{where}.ports[{j}].protocol"),
                problems.port_name(name, f"{where}.ports[{j}].name") if name else "",
            )


def _read_addresses(status: Mapping[str, Any], path: str, problems: Problems) -> tuple[Address, ...]:
    listed = [
        problems.mapping(entry, f"{path}.podIPs[{index}]").get("ip")
        for index, entry in enumerate(problems.sequence(status.get("podIPs"), f"{path}.podIPs"))
    ]
    addresses = [read_address(entry, f"{path}.podIPs", problems) for entry in listed or [status.get("podIP")]]
    return tuple(address for address in addresses if address is not None)


def read_address(value: object, path: str, problems: Problems) -> Address | None:
    """Return an address; None when it is absent or none."""
    if not value:
        return None
    # A number would be taken for an address's value, so only text is tried.
    address = _address(value) if isinstance(value, str) else None
    if address is None:
        problems.invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
    return address


@lru_cache(maxsize=8192)
def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def read_workload(
    manifest: Mapping[str, Any], namespace: str, name: str, origin: Origin, problems: Problems, *, kind: str
) -> Workload:
    """Return a workload and its template; `replicas` is 1 where the kind has none."""
    spec = problems.mapping(manifest.get("spec"), "spec")
    path = "spec."
    replicas = problems.count(spec.get("replicas"), "spec.replicas", 1)
    if kind == "CronJob":
        path = "spec.jobTemplate.spec."
        job = problems.mapping(spec.get("jobTemplate"), "spec.jobTemplate")
        spec = problems.mapping(job.get("spec"), "spec.jobTemplate.spec")
    template = problems.mapping(spec.get("template"), f"{path}template")
    metadata = problems.mapping(manifest.get("metadata"), "metadata")
    return Workload(
        kind=kind,
        namespace=namespace,
        name=name,
        replicas=replicas,
        template=read_pod(template, namespace, name, origin, problems, path=f"{path}template."),
        owner=read_owner(manifest, problems),
        live=bool(metadata.get("uid")),
    )
