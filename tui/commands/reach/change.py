"""Objects as they would be after a change: manifests applied, objects deleted, staged policies enforced."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tui.commands.reach.inputs import Located

STAGED = {
    "StagedNetworkPolicy": "NetworkPolicy",
    "StagedGlobalNetworkPolicy": "GlobalNetworkPolicy",
    "StagedKubernetesNetworkPolicy": "NetworkPolicy",
}
"""What each staged kind of Calico becomes (api/pkg/apis/projectcalico/v3)."""


def identity(item: dict[str, Any], namespace: str) -> tuple[str, str, str]:
    """Return kind, namespace (empty for cluster-wide kinds that name none) and name."""
    fields = item.get("metadata")
    metadata: dict[str, Any] = fields if isinstance(fields, dict) else {}
    return str(item.get("kind", "")), str(metadata.get("namespace") or namespace), str(metadata.get("name", ""))


WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "ReplicationController"}


def applied_to(located: Located, added: Located, namespace: str) -> Located:
    """Return the objects after `kubectl apply`: pods that run an older template of an applied workload give way."""
    owners = {identity(item, namespace) for item, _ in added if item.get("kind") in WORKLOADS}
    kept = list(located)
    while owners:
        gone = [each for each in kept if _owner(each[0], namespace) & owners]
        kept = [each for each in kept if not _owner(each[0], namespace) & owners]
        owners = {identity(item, namespace) for item, _ in gone}
    return [*kept, *added]


def _owner(item: dict[str, Any], namespace: str) -> set[tuple[str, str, str]]:
    metadata = item.get("metadata")
    references = metadata.get("ownerReferences") if isinstance(metadata, dict) else None
    where = identity(item, namespace)[1]
    listed = references if isinstance(references, list) else ()
    return {(str(each.get("kind")), where, str(each.get("name"))) for each in listed if isinstance(each, dict)}


def without(located: Located, names: Iterable[str], namespace: str) -> Located:
    """Return the objects without those named `KIND/NAMESPACE/NAME` or `KIND/NAME`.

    Raises:
        UsageError: a name that no object has.
    """
    kept = list(located)
    for name in names:
        remaining = [(item, origin) for item, origin in kept if not _is(item, name, namespace)]
        if len(remaining) == len(kept):
            known = ["/".join(part for part in identity(item, namespace) if part) for item, _ in kept]
            raise _unknown(name, known, "name it as in networkpolicy/shop/front")
        kept = remaining
    return kept


def _is(item: dict[str, Any], name: str, namespace: str) -> bool:
    kind, where, called = identity(item, namespace)
    wanted = name.lower().split("/")
    wanted[0] = {"netpol": "networkpolicy", "deploy": "deployment", "po": "pod", "svc": "service"}.get(
        wanted[0], wanted[0]
    )
    plural = {kind.lower(), f"{kind.lower()}s", f"{kind.lower().removesuffix('y')}ies"}
    if wanted[0] not in plural:
        return False
    return wanted[1:] in ([where.lower(), called.lower()], [called.lower()] if where == namespace else [])


def enforced(located: Located, names: Iterable[str], namespace: str) -> Located:
    """Return the objects with these staged policies (`all`, `NAME` or `NAMESPACE/NAME`) in force.

    A staged policy with the action Delete takes its counterpart away, Ignore does nothing.

    Raises:
        UsageError: a name that no staged policy has.
    """
    wanted = list(names)
    staged = [(item, origin) for item, origin in located if item.get("kind") in STAGED]
    found: Located = [(item, origin) for item, origin in located if item.get("kind") not in STAGED]
    used: set[str] = set()
    for item, origin in staged:
        _, where, called = identity(item, namespace)
        matching = {name for name in wanted if name in ("all", called, f"{where}/{called}")}
        used |= matching
        if not matching:
            found.append((item, origin))
            continue
        real, action = _real(item)
        target = (str(real["kind"]), str(real["apiVersion"]).partition("/")[0], *identity(real, namespace)[1:])
        if action != "Ignore":
            found = [(other, place) for other, place in found if _target(other, namespace) != target]
        if action == "Set":
            found.append((real, origin))
    for name in wanted:
        if name not in used:
            known = ["/".join(identity(item, namespace)[1:]) for item, _ in staged]
            raise _unknown(name, known, "name a staged policy, or all")
    return found


def _target(item: dict[str, Any], namespace: str) -> tuple[str, ...]:
    kind, where, called = identity(item, namespace)
    return kind, str(item.get("apiVersion", "")).partition("/")[0], where, called


def _real(item: dict[str, Any]) -> tuple[dict[str, Any], str]:
    fields = item.get("spec")
    spec = dict(fields) if isinstance(fields, dict) else {}
    action = str(spec.pop("stagedAction", None) or "Set")
    kind = str(item["kind"])
    version = "networking.k8s.io/v1" if kind == "StagedKubernetesNetworkPolicy" else item.get("apiVersion")
    return {**item, "apiVersion": version, "kind": STAGED[kind], "spec": spec}, action


def _unknown(name: str, known: list[str], advice: str) -> Exception:
    from content.errors import UsageError

    close = get_close_matches(name.lower(), [each.lower() for each in known], n=3)
    return UsageError(f"there is no {name}", remedy=f"did you mean {' or '.join(close)}?" if close else advice)
