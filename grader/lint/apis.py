"""What is written and not enforced: directions left out of `types`, APIs that this cluster has not, undefined order."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from grader.calico.model import GROUP, CalicoPolicy
from grader.lint.finding import Finding
from grader.lint.scene import listed
from grader.policy.compile import unenforced
from grader.reachability.verdict import PolicyRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grader.kube.cluster_model import ClusterPolicy
    from grader.kube.model import NetworkPolicy
    from grader.lint.scene import Scene


def apis(scene: Scene) -> Iterator[Finding]:
    """Yield findings on what the cluster does not enforce."""
    objects = scene.world.objects
    for policy in objects.policies:
        yield from _directions(_ref(policy, "NetworkPolicy"), "policyTypes", _kubernetes(policy))
    for each in objects.calico_policies:
        yield from _directions(_ref(each, each.kind), "types", _calico(each))
    for cluster in objects.cluster_policies:
        if cluster.superseded:
            yield Finding(
                "ND011",
                _ref(cluster, cluster.kind),
                f"{cluster.kind} is superseded: Calico since 3.32 and others do not enforce it",
                "write it as a ClusterNetworkPolicy",
            )
    for each in unenforced(objects):
        message = f"its tier {each.tier} does not exist, so nothing asks it"
        yield Finding("ND011", _ref(each, each.kind), message, f"create the Tier {each.tier}, or correct the name")
    if _other_network(scene):
        for each in objects.calico_policies:
            message = "the cluster's system pods are here, and none of them is calico-node"
            yield Finding("ND011", _ref(each, each.kind), message, "install Calico, or write a NetworkPolicy")
    yield from _orders(scene)


def _ref(policy: NetworkPolicy | CalicoPolicy | ClusterPolicy, kind: str) -> PolicyRef:
    group = GROUP if isinstance(policy, CalicoPolicy) else ""
    namespace, origin = getattr(policy, "namespace", ""), policy.origin
    return PolicyRef(kind, namespace, policy.name, origin.file, origin.line, group)


Direction = tuple[str, bool, bool]
"""Its name, whether there are rules, and whether they are asked."""


def _kubernetes(policy: NetworkPolicy) -> Iterable[Direction]:
    return (
        ("ingress", bool(policy.ingress), policy.isolates_ingress),
        ("egress", bool(policy.egress), policy.isolates_egress),
    )


def _calico(policy: CalicoPolicy) -> Iterable[Direction]:
    return (
        ("ingress", bool(policy.ingress), policy.applies_ingress),
        ("egress", bool(policy.egress), policy.applies_egress),
    )


def _directions(where: PolicyRef, field: str, directions: Iterable[Direction]) -> Iterator[Finding]:
    for direction, written, enforced in directions:
        if written and not enforced:
            word = direction.capitalize()
            message = f"it has {direction} rules, and {field} does not list {word}"
            yield Finding("ND010", where, message, f"add {word} to {field}, or remove the rules", direction)


def _other_network(scene: Scene) -> bool:
    """Tell whether a live cluster's system pods are there, without Calico's."""
    pods = scene.world.objects.pods
    system = [pod for pod in pods if pod.namespace == "kube-system" and pod.labels.get("component") == "kube-apiserver"]
    return bool(system) and not any(pod.labels.get("k8s-app") == "calico-node" for pod in pods)


def _orders(scene: Scene) -> Iterator[Finding]:
    """Policies of equal order that apply to the same endpoints."""
    groups: dict[tuple[object, ...], list[tuple[PolicyRef, str]]] = {}
    objects = scene.world.objects
    for cluster in objects.cluster_policies:
        key = ("priority", cluster.kind, cluster.tier, cluster.priority)
        groups.setdefault(key, []).append((_ref(cluster, cluster.kind), f"priority {cluster.priority}"))
    for each in objects.calico_policies:
        order = "no order" if each.order is None else f"order {each.order:g}"
        groups.setdefault(("order", "", each.tier, each.order, each.staged), []).append((_ref(each, each.kind), order))
    subjects: dict[PolicyRef, int] = {}
    effects: dict[PolicyRef, set[str]] = {}
    for _, where, policy in scene.policies:
        subjects[where] = subjects.get(where, 0) | scene.subjects(policy)
        effects.setdefault(where, set()).update(rule.effect for rule in policy.rules)
    for (field, *_), found in groups.items():
        rivals: dict[PolicyRef, list[str]] = {}
        for (one, words), (other, _) in combinations(found, 2):
            differing = effects.get(one, set()) | effects.get(other, set())
            if subjects.get(one, 0) & subjects.get(other, 0) and len(differing) > 1:
                rivals.setdefault(other, []).append(f"{one} ({words})")
        for where, names in rivals.items():
            message = f"it shares endpoints and its place with {listed(names)}"
            yield Finding("ND013", where, message, f"give each a {field} of its own")
