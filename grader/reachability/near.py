"""Near misses: rules that would have let a packet pass but for one thing, in the words of who wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.kube.fields import PROTOCOLS
from grader.kube.model import LabelSelector
from grader.policy.model import Block, Effect, Selected
from grader.reachability.tiers import ref
from grader.reachability.verdict import NearMiss

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.kube.model import Requirement
    from grader.policy.model import Endpoint, Match, Policy, Rule, Rulebook
    from grader.reachability.packet import Packet

LIMIT = 5


def near_misses(book: Rulebook, direction: str, packet: Packet) -> tuple[NearMiss, ...]:
    """Return at most `LIMIT` allow rules that miss the packet by exactly one thing, rules of isolating policies first.

    A policy that misses the subject itself by one label counts too: its rule must then match the packet in full.
    """
    subject, peer = packet.ends(direction)
    selecting: list[NearMiss] = []
    others: list[NearMiss] = []
    for tier in book.tiers(direction):
        for policy in tier.policies:
            selected = policy.subject.matches(subject, packet.family)
            lacking = () if selected else _peer_misses(policy.subject, subject, packet.family)
            if not selected and len(lacking) != 1:
                continue
            for rule, missed in _rule_misses(policy, peer, packet):
                if selected and len(missed) == 1:
                    selecting.append(NearMiss(ref(policy), direction, rule.number, missed[0]))
                elif not selected and not missed:
                    others.append(NearMiss(ref(policy), direction, rule.number, f"would apply {lacking[0]}"))
    return tuple(selecting + others)[:LIMIT]


def _rule_misses(policy: Policy, peer: Endpoint, packet: Packet) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    for rule in policy.rules:
        if rule.effect is not Effect.ALLOW:
            continue
        missed: tuple[str, ...] = ()
        if not rule.matches_port(packet.destination, packet.port, packet.protocol):
            missed = (_port_miss(rule, packet),)
        if not rule.matches_peer(peer, packet.family):
            # Of equally near alternatives the kind that can mean this peer: labels for pods, ranges for others.
            likely = sorted(rule.peers, key=lambda match: isinstance(match, Block) is peer.selectable)
            alternatives = [found for match in likely if (found := _peer_misses(match, peer, packet.family))]
            if not alternatives:
                continue
            missed += min(alternatives, key=len)
        yield rule, tuple(f"would match {clause}" for clause in missed)


def _port_miss(rule: Rule, packet: Packet) -> str:
    listed = ", ".join(str(ports) for ports in rule.ports[:4]) + (", …" if len(rule.ports) > 4 else "")
    if packet.protocol not in PROTOCOLS:
        return f"if it named no ports ({listed}): with ports it stops {packet.protocol}"
    unresolved = [ports.name for ports in rule.ports if ports.name and ports.protocol == packet.protocol]
    if unresolved and not packet.destination.ports.get((unresolved[0], packet.protocol)):
        return f'if {packet.destination.ref} had a {packet.protocol} port named "{unresolved[0]}"'
    return f"if the port were {listed} (it is {packet.port}/{packet.protocol})"


def _peer_misses(match: Match, peer: Endpoint, family: int) -> tuple[str, ...]:
    """Every single thing that keeps the peer from being meant; none where the match can never mean its kind."""
    match match:
        case Block():
            return _block_misses(match, peer, family)
        case Selected():
            return _selected_misses(match, peer)
        case _:
            return ()


def _block_misses(block: Block, peer: Endpoint, family: int) -> tuple[str, ...]:
    address = peer.address(family)
    if address is None:
        unknown = f"if {peer.ref} had an IPv{family} address in {block.cidr} (none is known)"
        return () if peer.selectable or block.cidr.version != family else (unknown,)
    for excepted in block.excepted:
        if address in excepted:
            return (f"if {address} were not in the exception {excepted} of {block.cidr}",)
    return (f"if {address} were in {block.cidr}",) if block.cidr.version == family else ()


def _selected_misses(selected: Selected, endpoint: Endpoint) -> tuple[str, ...]:
    if not endpoint.selectable:
        return ()
    missed: list[str] = []
    if selected.namespace and endpoint.namespace != selected.namespace:
        missed.append(f"if {endpoint.ref} were in namespace {selected.namespace} (it has no namespaceSelector)")
    missed += _lacking(selected.namespaces, endpoint.namespace_labels, f"namespace {endpoint.namespace}")
    missed += _lacking(selected.pods, endpoint.labels, endpoint.ref)
    return tuple(missed)


def _lacking(selector: LabelSelector | None, labels: Mapping[str, str], owner: str) -> list[str]:
    requirements = selector.requirements if selector is not None else ()
    return [_lacks(each, labels, owner) for each in requirements if not LabelSelector((each,)).matches(labels)]


def _lacks(requirement: Requirement, labels: Mapping[str, str], owner: str) -> str:
    key, values = requirement.key, " or ".join(requirement.values)
    has = f"it is {labels[key]}" if labels.get(key) else "it is empty" if key in labels else "it has none"
    match requirement.operator:
        case "In":
            return f"if label {key} of {owner} were {values} ({has})"
        case "NotIn":
            return f"if label {key} of {owner} were not {values}"
        case "Exists":
            return f"if {owner} had a label {key}"
        case _:
            return f"if {owner} had no label {key} ({has})"
