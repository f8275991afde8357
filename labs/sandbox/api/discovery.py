"""What the API has: versions, groups, resources. kubectl asks this first."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from labs.sandbox.api.kinds import KINDS
from labs.sandbox.api.status import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.ports import Manifest
    from labs.sandbox.api.kinds import Kind

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

_CHANGE = ("get", "patch", "update")


def _subresources(kind: Kind) -> Iterable[tuple[str, str, str, str, tuple[str, ...]]]:
    """Name, group, version, kind and verbs of each."""
    if kind.resource == "pods":
        yield "attach", "", "", "PodAttachOptions", ("create", "get")
        yield "binding", "", "", "Binding", ("create",)
        yield "ephemeralcontainers", "", "", "Pod", _CHANGE
        yield "eviction", "policy", "v1", "Eviction", ("create",)
        yield "exec", "", "", "PodExecOptions", ("create", "get")
        yield "log", "", "", "Pod", ("get",)
        yield "portforward", "", "", "PodPortForwardOptions", ("create", "get")
    if kind.resource == "namespaces":
        yield "finalize", "", "", "Namespace", ("update",)
    if kind.scale:
        yield "scale", "autoscaling", "v1", "Scale", _CHANGE
    if kind.status:
        yield "status", "", "", kind.kind, _CHANGE


_REVIEWS: dict[tuple[str, str], tuple[tuple[str, str, str], ...]] = {
    ("authorization.k8s.io", "v1"): (
        ("selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview"),
        ("selfsubjectrulesreviews", "selfsubjectrulesreview", "SelfSubjectRulesReview"),
    ),
    ("authentication.k8s.io", "v1"): (("selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview"),),
}
"""Kinds that are asked, not kept: name, singular, kind."""


def groups() -> list[tuple[str, str]]:
    """Every named group with its version, in the order of a real server's list."""
    found = dict.fromkeys((kind.group, kind.version) for kind in KINDS if kind.group)
    return [*found, *_REVIEWS]


def versions(host: str) -> Manifest:
    """The answer to /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}],
    }


def group_list() -> Manifest:
    """The answer to /apis."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*group) for group in groups()]}


def group(name: str) -> Manifest | None:
    """The answer to /apis/GROUP."""
    found = next((item for item in groups() if item[0] == name), None)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(*found)} if found else None


def _group(name: str, version: str) -> Manifest:
    one = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [one], "preferredVersion": one}


def resource_list(group_name: str, version: str) -> Manifest | None:
    """The answer to /api/v1 and /apis/GROUP/VERSION."""
    mine = [kind for kind in KINDS if (kind.group, kind.version) == (group_name, version)]
    reviews = _REVIEWS.get((group_name, version), ())
    if not mine and not reviews:
        return None
    resources: list[Manifest] = []
    for kind in sorted(mine, key=lambda item: item.plural):
        entry: Manifest = {
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(kind.verbs),
        }
        if kind.short:
            entry["shortNames"] = list(kind.short)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        entry["storageVersionHash"] = hashlib.sha256(kind.resource.encode()).hexdigest()[:10] + "=="
        resources.append(entry)
        for name, sub_group, sub_version, sub_kind, verbs in _subresources(kind):
            sub: Manifest = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
            if sub_group:
                sub |= {"group": sub_group, "version": sub_version}
            resources.append(sub | {"kind": sub_kind, "verbs": list(verbs)})
    for plural, singular, kind_name in reviews:
        resources.append(
            {"name": plural, "singularName": singular, "namespaced": False, "kind": kind_name, "verbs": ["create"]}
        )
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group_name}/{version}" if group_name else version,
        "resources": resources,
    }


def aggregated(accept: str) -> bool:
    """Whether the client wants everything at once.

    Raises:
        ApiError: 406, it wants nothing that is here.
    """
    offers = [offer.replace(" ", "") for offer in accept.split(",")]
    for offer in offers:
        if "as=APIGroupDiscoveryList" in offer:
            if "v=v2;" in offer + ";" and "v2beta1" not in offer:
                return True
        elif offer.startswith(("application/json", "*/*", "application/*")) or not offer:
            return False
    raise ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json", {})


def aggregated_list(*, core: bool) -> Manifest:
    """The answer to /api and /apis with aggregated discovery."""
    wanted = [("", "v1")] if core else groups()
    items = [
        {
            "metadata": {"name": name} if name else {},
            "versions": [{"version": version, "resources": _entries(name, version), "freshness": "Current"}],
        }
        for name, version in wanted
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _entries(name: str, version: str) -> list[Manifest]:
    mine = sorted((k for k in KINDS if (k.group, k.version) == (name, version)), key=lambda k: k.plural)
    made: list[Manifest] = []
    for kind in mine:
        entry: dict[str, Any] = {
            "resource": kind.plural,
            "responseKind": {"group": "", "version": "", "kind": kind.kind},
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "singularResource": kind.singular,
            "verbs": list(kind.verbs),
        }
        if kind.short:
            entry["shortNames"] = list(kind.short)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        subresources = [
            {
                "subresource": sub,
                "responseKind": {"group": sub_group, "version": sub_version, "kind": sub_kind},
                "verbs": list(verbs),
            }
            for sub, sub_group, sub_version, sub_kind, verbs in _subresources(kind)
        ]
        if subresources:
            entry["subresources"] = subresources
        made.append(entry)
    for plural, singular, kind_name in _REVIEWS.get((name, version), ()):
        made.append(
            {
                "resource": plural,
                "responseKind": {"group": "", "version": "", "kind": kind_name},
                "scope": "Cluster",
                "singularResource": singular,
                "verbs": ["create"],
            }
        )
    return made
