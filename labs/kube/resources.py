"""Which kinds an API serves (discovery), and which of them decide traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labs.kube.api import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grader.ports import Manifest

_CALICO_V3, _CALICO_STORED = "projectcalico.org", "crd.projectcalico.org"
_CALICO = (
    *("networkpolicies", "globalnetworkpolicies", "tiers", "networksets", "globalnetworksets", "hostendpoints"),
    *("stagednetworkpolicies", "stagedglobalnetworkpolicies", "stagedkubernetesnetworkpolicies"),
    *("profiles", "ippools", "felixconfigurations"),
)
CALICO_GROUPS = (f"{_CALICO_V3}/", f"{_CALICO_STORED}/")
"""How versions of Calico's kinds begin: as its API server gives them, and as the cluster keeps them."""
_STALE = "Stale"
DECIDING: Mapping[str, tuple[str, ...]] = {
    "": ("nodes", "namespaces", "pods", "services", "serviceaccounts", "replicationcontrollers"),
    "apps": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "batch": ("cronjobs", "jobs"),
    "discovery.k8s.io": ("endpointslices",),
    "networking.k8s.io": ("ingressclasses", "ingresses", "networkpolicies"),
    "policy.networking.k8s.io": ("clusternetworkpolicies", "adminnetworkpolicies", "baselineadminnetworkpolicies"),
    "gateway.networking.k8s.io": (
        *("gatewayclasses", "gateways", "httproutes", "grpcroutes", "tcproutes", "tlsroutes", "udproutes"),
        *("referencegrants", "backendtlspolicies"),
    ),
    _CALICO_V3: _CALICO,
    _CALICO_STORED: _CALICO,
    "operator.tigera.io": ("installations",),
}
"""Group to plural names of the kinds whose objects a snapshot has, in the snapshot's order."""


def read_discovery(core: Mapping[str, Any], groups: Mapping[str, Any]) -> tuple[Resource, ...]:
    """The kinds of two answers of aggregated discovery (`/api` and `/apis`, apidiscovery.k8s.io/v2).

    A version that the API could not ask for its kinds the last time (`freshness: Stale`) is left out: see `stale`.
    """
    return tuple(found for answer in (core, groups) for item in answer.get("items", ()) for found in _of_group(item))


def stale(groups: Mapping[str, Any]) -> tuple[str, ...]:
    """The versions (`group/version`) that the API could not ask for their kinds the last time, once a minute.

    Their servers may answer by now (k8s.io/kube-aggregator pkg/apiserver/handler_discovery.go).
    """
    return tuple(
        f"{item['metadata']['name']}/{version['version']}"
        for item in groups.get("items", ())
        for version in item.get("versions", ())
        if version.get("freshness") == _STALE
    )


def read_kinds(answer: Mapping[str, Any]) -> tuple[Resource, ...]:
    """The kinds of one version, by its own server's answer (an APIResourceList); its subresources left out."""
    group, _, version = str(answer.get("groupVersion", "")).rpartition("/")
    return tuple(
        Resource(
            group,
            version,
            str(entry["name"]),
            str(entry["kind"]),
            namespaced=bool(entry.get("namespaced")),
            verbs=frozenset(entry.get("verbs") or ()),
        )
        for entry in answer.get("resources") or ()
        if "/" not in str(entry["name"])
    )


def _of_group(item: Mapping[str, Any]) -> Iterator[Resource]:
    group = str(item.get("metadata", {}).get("name", ""))
    for version in item.get("versions", ()):
        if version.get("freshness") == _STALE:
            continue
        for entry in version.get("resources", ()):
            kind = entry.get("responseKind", {}).get("kind", "")
            yield Resource(
                group,
                str(version["version"]),
                str(entry["resource"]),
                str(kind),
                namespaced=entry.get("scope") == "Namespaced",
                verbs=frozenset(entry.get("verbs", ())),
            )


def deciding(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """Those that decide traffic and can be listed, each once, in the preferred version of its group.

    Calico's kinds are served twice where its API server runs (and are the same objects): the v3 form is taken then.
    """
    first: dict[tuple[str, str], Resource] = {}
    for resource in resources:
        if "list" in resource.verbs:
            first.setdefault((resource.group, resource.plural), resource)
    if any(group == _CALICO_V3 for group, _ in first):
        first = {key: found for key, found in first.items() if key[0] != _CALICO_STORED}
    wanted = ((group, plural) for group, plurals in DECIDING.items() for plural in plurals)
    return tuple(first[key] for key in wanted if key in first)


def resource_of(manifest: Manifest, resources: Iterable[Resource]) -> Resource | None:
    """The resource of an object, by its apiVersion and kind."""
    version, kind = manifest.get("apiVersion"), manifest.get("kind")
    return next((found for found in resources if found.api_version == version and found.kind == kind), None)
