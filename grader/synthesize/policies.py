"""The tightest NetworkPolicies for some flows: every pod isolated both ways, and a rule for each flow at both ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import collapse_addresses, ip_network
from typing import TYPE_CHECKING, Any

from content.errors import UsageError
from grader.kube.model import IPBlock, LabelSelector, NetworkPolicy, Peer, PolicyPort, PolicyRule, Requirement
from grader.policy.model import Block
from grader.reachability.diff import difference
from grader.reachability.world import World
from grader.synthesize.required import required_world, without_policies
from grader.synthesize.selectors import exact_selector

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from grader.kube.model import Network
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


def synthesize(
    world: World, flows: Iterable[Required], left: Collection[str] = (), pod_ranges: Sequence[Network] = ()
) -> tuple[NetworkPolicy, ...]:
    """Return the policies: a default deny for each namespace, and one for each group of pods that flows name.

    A pod that may reach a range, and one that a range may reach, would reach each other where ranges hold pods. Known
    addresses of such pods are excepted, and `pod_ranges` always are; `verify` finds what is left.

    Args:
        world: the endpoints; its policies do not matter.
        flows: what must pass; nothing else will.
        left: namespaces that are left as they are.
        pod_ranges: where pods have their addresses.

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
        into = [f for f in listed if near.intersection(f.destinations)]
        out_of = [f for f in listed if near.intersection(f.sources)]
        entering = [(f, f.sources, _entering(world, unit, f, listed, pod_ranges)) for f in into]
        leaving = [(f, f.destinations, _leaving(f.to_range, pod_ranges)) for f in out_of]
        ingress, egress = _rules(unit, entering, by_ref), _rules(unit, leaving, by_ref)
        policy = NetworkPolicy(unit.namespace, unit.name, unit.selector, ingress, egress)
        found.append(replace(policy, isolates_ingress=bool(ingress), isolates_egress=bool(egress)))
    return tuple(sorted(found, key=lambda each: (each.namespace, each.name != DEFAULT_DENY, each.name)))


def verify(
    world: World,
    flows: Iterable[Required],
    policies: tuple[NetworkPolicy, ...],
    left: Collection[str] = (),
    pod_ranges: Sequence[Network] = (),
    family: int | None = None,
) -> Difference:
    """Return where the policies differ from the flows: what opens is too much, what closes is missing."""
    made = World(replace(without_policies(world.objects), policies=policies))
    return difference(required_world(world, flows, left, pod_ranges), made, family or world.family)


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


def _entering(
    world: World, unit: Unit, flow: Required, flows: Sequence[Required], pod_ranges: Sequence[Network]
) -> IPBlock | None:
    """The range that a flow comes from, without pods that some range lets out to the unit at this port."""
    block = _leaving(flow.from_range, pod_ranges)
    if block is None:
        return None
    ends = [world.endpoints.pods[ref] for ref in unit.refs]
    same = [each for each in flows if (each.port, each.protocol) == (flow.port, flow.protocol)]
    asked = {ref for each in same if set(unit.refs) & set(each.destinations) for ref in each.sources}
    roaming = {
        ref
        for each in same
        if each.to_range is not None and any(_holds(each.to_range, end) for end in ends)
        for ref in each.sources
    }
    addresses = [
        ip_network(address)
        for ref in roaming - asked
        for address in world.endpoints.pods[ref].addresses
        if address in block.cidr
    ]
    return _without(block.cidr, [*block.excepted, *addresses])


def _leaving(network: Network | None, pod_ranges: Sequence[Network]) -> IPBlock | None:
    return None if network is None else _without(network, pod_ranges)


def _without(network: Network, excepted: Iterable[Network]) -> IPBlock | None:
    """A range with exceptions inside it; None where nothing of it is left."""
    inside: list[Any] = []
    for each in excepted:
        if each.version != network.version:
            continue
        if network.subnet_of(each):  # type: ignore[arg-type] # one version, see above
            return None
        if each.subnet_of(network):  # type: ignore[arg-type] # likewise
            inside.append(each)
    return IPBlock(network, tuple(collapse_addresses(inside)))


def _holds(network: Network, end: Endpoint) -> bool:
    return Block(network).matches(end, network.version)


def _rules(
    unit: Unit, needed: Sequence[tuple[Required, tuple[str, ...], IPBlock | None]], by_ref: dict[str, Unit]
) -> tuple[PolicyRule, ...]:
    """One rule for each set of ports, with every peer that needs it."""
    ports: dict[Peer, set[tuple[str, int]]] = {}
    for each, refs, block in needed:
        peers = [Peer(block=block)] if block is not None else []
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
