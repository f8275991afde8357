"""Rules and policies of Calico in the normal form. Sources: libcalico-go `updateprocessors`, felix `calc` and `rules`.

A rule's `selector`, `namespaceSelector`, `serviceAccounts` and `notSelector` of one side are one selector, which one
endpoint or one network set must satisfy alone. Rules of a family that a packet has not are not there for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grader.calico.labels import ACCOUNT, NAMESPACE, LabelViews, of_accounts, of_namespaces
from grader.calico.model import GROUP
from grader.calico.selectors import Compare, Everything, Negation, both
from grader.policy.model import (
    BOTH_FAMILIES,
    INGRESS,
    AllOf,
    AnyOf,
    Block,
    Effect,
    Labelled,
    Named,
    Not,
    Policy,
    Ports,
    Rule,
)
from grader.policy.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grader.calico.model import Accounts, CalicoPolicy, CalicoRule, Entity, PortMatch
    from grader.calico.selectors import Expression
    from grader.kube.model import Network, Objects
    from grader.policy.model import Match
    from grader.policy.services import Backend

_EFFECTS = {"Allow": Effect.ALLOW, "Deny": Effect.DENY, "Pass": Effect.PASS}


class CalicoCompiler:
    """Compiles Calico's rules with what they refer to: network sets and Services of the same snapshot."""

    def __init__(self, objects: Objects) -> None:
        views = LabelViews(objects)
        self._sets = [(views.network_set(each), each.nets) for each in objects.network_sets]
        self._services = Services(objects)
        self._networks: dict[Expression, tuple[Network, ...]] = {}

    def policy(self, policy: CalicoPolicy, direction: str) -> Policy:
        """Return one direction of a policy."""
        return Policy(
            kind=policy.kind,
            namespace=policy.namespace,
            name=policy.name,
            subject=Labelled(_subject(policy)),
            rules=self.rules(policy.ingress if direction == INGRESS else policy.egress, direction, policy.namespace),
            origin=policy.origin,
            group=GROUP,
        )

    def rules(self, rules: Iterable[CalicoRule], direction: str, namespace: str) -> tuple[Rule, ...]:
        """Return rules; those that decide nothing (Log) or can match no packet are left out, numbers stay."""
        return tuple(
            made
            for number, rule in enumerate(rules, start=1)
            for made in self._rule(number, rule, direction, namespace)
        )

    def _rule(self, number: int, rule: CalicoRule, direction: str, namespace: str) -> Iterator[Rule]:
        effect, families = _EFFECTS.get(rule.action), _families(rule)
        if effect is None or not families:
            return
        if rule.http and not rule.protocol:
            # HTTP runs over TCP and is checked by a proxy; to the packet filter the rule is one of all protocols.
            yield from self._rule(number, replace(rule, protocol="TCP"), direction, namespace)
            yield from self._rule(number, replace(rule, http="", not_protocol="TCP"), direction, namespace)
            return
        peer, subject = (rule.source, rule.destination) if direction == INGRESS else (rule.destination, rule.source)
        for peers, ports in self._targets(rule, peer, direction, namespace):
            yield Rule(
                number,
                effect,
                peers=peers,
                ports=ports,
                not_ports=(*_excluded(rule), *_ports(rule, rule.destination, rule.destination.not_ports, namespace)),
                subjects=self._matches(subject, namespace),
                source_ports=_ports(rule, rule.source, rule.source.ports, namespace),
                not_source_ports=_ports(rule, rule.source, rule.source.not_ports, namespace),
                families=families,
                condition=rule.http,
            )

    def _targets(
        self, rule: CalicoRule, peer: Entity, direction: str, namespace: str
    ) -> Iterator[tuple[tuple[Match, ...], tuple[Ports, ...]]]:
        """Yield who the other end may be, with the destination's ports; a Service's ports differ by endpoint."""
        ports = _ports(rule, rule.destination, rule.destination.ports, namespace)
        if not ports and rule.protocol:
            ports = (Ports(rule.protocol, icmp=rule.icmp),)
        if peer.service is None:
            yield self._matches(peer, namespace), ports
            return
        name = f"Service {peer.service.namespace or namespace}/{peer.service.name}"
        backends = self._services.behind(peer.service.namespace or namespace, peer.service.name)
        if direction == INGRESS:
            if backends:
                yield (_named(backends, f"endpoints of {name}"),), ports
            return
        by_ports: dict[frozenset[tuple[str, int]], list[Backend]] = {}
        for backend in backends:
            by_ports.setdefault(backend.ports, []).append(backend)
        for served, alike in by_ports.items():
            served_ports = tuple(
                Ports(protocol, number, number) if number else Ports(protocol)
                for protocol, number in sorted(served)
                if rule.protocol in ("", protocol)
            )
            if served_ports:
                yield (_named(alike, f"endpoints of {name}"),), served_ports

    def _matches(self, entity: Entity, namespace: str) -> tuple[Match, ...]:
        """One side of a rule as alternatives; none where it says nothing."""
        parts: list[Match] = []
        selector = combined(entity, namespace)
        if selector is not None:
            parts.append(self._labelled(selector))
        elif entity.not_selector is not None:
            parts.append(Not(self._labelled(entity.not_selector)))
        if entity.not_nets:
            parts.append(Not(AnyOf(tuple(Block(net) for net in entity.not_nets))))
        nets = tuple(Block(net) for net in entity.nets)
        if not parts:
            return nets
        if nets:
            parts.append(AnyOf(nets))
        return (parts[0] if len(parts) == 1 else AllOf(tuple(parts)),)

    def _labelled(self, selector: Expression) -> Labelled:
        networks = self._networks.get(selector)
        if networks is None:
            found = (net for labels, nets in self._sets if selector.matches(labels) for net in nets)
            networks = self._networks[selector] = tuple(dict.fromkeys(found))
        return Labelled(selector, networks)


def combined(entity: Entity, namespace: str) -> Expression | None:
    """Return the one selector of a side; None where a positive part of it is missing (then `notSelector` is apart)."""
    chosen = both(_accounts(entity.accounts), entity.selector)
    if entity.namespace_selector is not None:
        chosen = both(of_namespaces(entity.namespace_selector), chosen)
    elif namespace and (chosen is not None or entity.not_selector is not None):
        chosen = both(Compare(NAMESPACE, "==", (namespace,)), chosen)
    if chosen is not None and entity.not_selector is not None:
        chosen = both(chosen, Negation(entity.not_selector))
    return chosen


def _accounts(accounts: Accounts | None) -> Expression | None:
    if accounts is None:
        return None
    names = Compare(ACCOUNT, "in", tuple(sorted(accounts.names))) if accounts.names else None
    return both(of_accounts(accounts.selector) if accounts.selector is not None else None, names)


def _subject(policy: CalicoPolicy) -> Expression:
    chosen = policy.selector
    if policy.account_selector is not None:
        chosen = both(chosen, of_accounts(policy.account_selector))
    if policy.namespace:
        chosen = both(Compare(NAMESPACE, "==", (policy.namespace,)), chosen)
    elif policy.namespace_selector is not None:
        chosen = both(of_namespaces(policy.namespace_selector), chosen)
    return chosen or Everything()


def _families(rule: CalicoRule) -> tuple[int, ...]:
    """Families of packets for which the rule is there; a negated range of everything takes it away."""
    found = {rule.ip_version} if rule.ip_version else set(BOTH_FAMILIES)
    for nets in (rule.source.nets, rule.destination.nets, rule.source.not_nets, rule.destination.not_nets):
        if nets:
            found &= {net.version for net in nets}
    for net in (*rule.source.not_nets, *rule.destination.not_nets):
        if net.prefixlen == 0:
            found.discard(net.version)
    return tuple(sorted(found))


def _ports(rule: CalicoRule, entity: Entity, listed: tuple[PortMatch, ...], namespace: str) -> tuple[Ports, ...]:
    """Ports of the rule's protocol; names alone may stand without one and are TCP. A selector limits who has names."""
    protocol = rule.protocol or "TCP"
    selector = combined(entity, namespace)
    only = Labelled(selector) if selector is not None else None
    return tuple(
        Ports(protocol, name=port.name, only=only) if port.name else Ports(protocol, port.low, port.high)
        for port in listed
    )


def _excluded(rule: CalicoRule) -> Iterator[Ports]:
    if rule.not_protocol:
        yield Ports(rule.not_protocol)
    if rule.not_icmp is not None:
        yield Ports(rule.protocol, icmp=rule.not_icmp)


def _named(backends: Iterable[Backend], words: str) -> Named:
    listed = tuple(backends)
    refs = tuple(backend.ref for backend in listed if backend.ref)
    return Named(refs, tuple(address for backend in listed for address in backend.addresses), words)
