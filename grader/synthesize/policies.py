"""The tightest NetworkPolicies for some flows: every pod isolated both ways, and a rule for each flow at both ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from content.errors import UsageError
from grader.kube.model import IPBlock, LabelSelector, NetworkPolicy, Peer, PolicyPort, PolicyRule, Requirement
from grader.reachability.diff import difference
from grader.reachability.world import World
from grader.synthesize.required import required_world, without_policies
from grader.synthesize.selectors import exact_selector

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from grader.policy.model import Endpoint
    from grader.reachability.diff import Difference
    from grader.synthesize.flows import Required

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
DEFAULT_DENY = "default-deny"


@dataclass(frozen=True, slots=True)
class Unit:
    """Pods of one namespace that the same flows name, and the selector that means exactly them."""

    namespace: str
    name: str
    refs: tuple[str, ...]
    selector: LabelSelector


def synthesize(world: World, flows: Iterable[Required], left: Collection[str] = ()) -> tuple[NetworkPolicy, ...]:
    """Return the policies: a default deny for each namespace, and one for each group of pods that flows name.

    Args:
        world: the endpoints; its policies do not matter.
        flows: what must pass; nothing else will.
        left: namespaces that are left as they are.

    Raises:
        UsageError: labels cannot tell pods apart that the flows treat differently.
    """
    listed = tuple(flows)
    units = _units(world, listed)
    by_ref = {ref: unit for unit in units for ref in unit.refs}
    found = [_default_deny(name) for name in _namespaces(world) if name not in left]
    for unit in units:
        if unit.namespace in left:
            continue
        near = set(unit.refs)
        ingress = _rules(
            unit,
            [(f, f.sources, f.from_range) for f in listed if near.intersection(f.destinations)],
            by_ref,
        )
        egress = _rules(unit, [(f, f.destinations, f.to_range) for f in listed if near.intersection(f.sources)], by_ref)
        policy = NetworkPolicy(unit.namespace, unit.name, unit.selector, ingress, egress)
        found.append(replace(policy, isolates_ingress=bool(ingress), isolates_egress=bool(egress)))
    return tuple(sorted(found, key=lambda each: (each.namespace, each.name != DEFAULT_DENY, each.name)))


def verify(
    world: World,
    flows: Iterable[Required],
    policies: tuple[NetworkPolicy, ...],
    left: Collection[str] = (),
    family: int | None = None,
) -> Difference:
    """Return where the policies differ from the flows: what opens is too much, what closes is missing."""
    made = World(replace(without_policies(world.objects), policies=policies))
    return difference(required_world(world, flows, left), made, family or world.family)


def _namespaces(world: World) -> list[str]:
    return sorted({pod.namespace for pod in world.endpoints.pods.values() if pod.selectable})


def _default_deny(namespace: str) -> NetworkPolicy:
    return NetworkPolicy(namespace, DEFAULT_DENY, isolates_ingress=True, isolates_egress=True)


def _units(world: World, flows: Sequence[Required]) -> list[Unit]:
    sides: dict[str, set[tuple[int, str]]] = {}
    for number, each in enumerate(flows):
        for side, refs in (("from", each.sources), ("to", each.destinations)):
            for ref in refs:
                sides.setdefault(ref, set()).add((number, side))
    alike: dict[tuple[str, frozenset[tuple[int, str]]], list[Endpoint]] = {}
    for ref, named in sorted(sides.items()):
        endpoint = world.endpoints.pods[ref]
        alike.setdefault((endpoint.namespace, frozenset(named)), []).append(endpoint)
    owners = {pod.ref: pod.owner or pod.name for pod in world.objects.pods}
    taken = {(name, DEFAULT_DENY) for name in _namespaces(world)}
    units = []
    for (namespace, _), pods in alike.items():
        refs = tuple(pod.ref for pod in pods)
        others = [
            pod
            for pod in world.endpoints.pods.values()
            if pod.selectable and pod.namespace == namespace and pod.ref not in refs
        ]
        selector = exact_selector(pods, others)
        if selector is None:
            raise _alike(refs[0], pods, others)
        name, number = owners[refs[0]], 1
        while (namespace, name) in taken:
            number += 1
            name = f"{owners[refs[0]]}-{number}"
        taken.add((namespace, name))
        units.append(Unit(namespace, name, refs, selector))
    return units


def _alike(ref: str, pods: Sequence[Endpoint], others: Sequence[Endpoint]) -> UsageError:
    twin = next((each.ref for each in others if any(each.labels == pod.labels for pod in pods)), others[0].ref)
    return UsageError(
        f"labels cannot tell {ref} from {twin}, and the flows treat them differently",
        remedy="give one of them a label of its own, or name both in the flows",
    )


def _rules(
    unit: Unit, needed: Sequence[tuple[Required, tuple[str, ...], object]], by_ref: dict[str, Unit]
) -> tuple[PolicyRule, ...]:
    """One rule for each set of ports, with every peer that needs it."""
    ports: dict[Peer, set[tuple[str, int]]] = {}
    for each, refs, network in needed:
        peers: list[Peer] = []
        if network is not None:
            peers.append(Peer(block=IPBlock(network)))  # type: ignore[arg-type] # a range, as `Required` says
        peers += (_peer(unit, by_ref[ref]) for ref in refs)
        for peer in peers:
            ports.setdefault(peer, set()).add((each.protocol, each.port))
    by_ports: dict[tuple[tuple[str, int], ...], list[Peer]] = {}
    for peer, wanted in ports.items():
        by_ports.setdefault(tuple(sorted(wanted)), []).append(peer)
    return tuple(
        PolicyRule(tuple(peers), tuple(PolicyPort(protocol, number) for protocol, number in wanted))
        for wanted, peers in sorted(by_ports.items(), key=lambda entry: entry[0])
    )


def _peer(unit: Unit, other: Unit) -> Peer:
    if unit.namespace == other.namespace:
        return Peer(pods=other.selector)
    return Peer(other.selector, LabelSelector((Requirement(NAMESPACE_LABEL, "In", (other.namespace,)),)))
