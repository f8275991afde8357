"""Parts of rules that match nothing: peers that mean no endpoint, named ports that no destination has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.lint.finding import Finding
from grader.lint.scene import listed, means_addresses
from grader.lint.subjects import near_label
from grader.policy.model import INGRESS
from grader.reachability.bits import members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.lint.scene import Scene
    from grader.policy.model import Policy, Rule
    from grader.reachability.verdict import PolicyRef


def rules(scene: Scene) -> Iterator[Finding]:
    """Yield findings on peers and ports."""
    for direction, where, policy in scene.policies:
        for rule in policy.rules:
            yield from _peers(scene, direction, where, rule)
            yield from _ports(scene, direction, where, policy, rule)


def _peers(scene: Scene, direction: str, where: PolicyRef, rule: Rule) -> Iterator[Finding]:
    for match in (*rule.peers, *rule.subjects):
        if means_addresses(match) or scene.population.matching(match):
            continue
        typo = near_label(scene, match)
        if typo:
            yield Finding("ND012", where, f"nobody is meant by {match}: {typo[0]}", typo[1], direction, rule.number)
        else:
            fix = "correct the selector (and its namespace: a podSelector alone means the policy's own), or remove it"
            yield Finding("ND003", where, f"nobody is meant by {match}", fix, direction, rule.number)


def _ports(scene: Scene, direction: str, where: PolicyRef, policy: Policy, rule: Rule) -> Iterator[Finding]:
    destinations = scene.subjects(policy) if direction == INGRESS else scene.population.any_of(rule.peers)
    ends = [scene.endpoints[i] for i in members(destinations)]
    known = {key for end in ends for key in end.ports}
    for name in dict.fromkeys(ports.name for ports in rule.ports if ports.name):
        wanted = {(ports.name, ports.protocol) for ports in rule.ports if ports.name == name}
        if not ends or wanted & known:
            continue
        others = sorted(protocol for other, protocol in known if other == name)
        names = sorted({other for other, _ in known})
        message = f'no destination has a port named "{name}"'
        if others:
            message = (
                f'"{name}" is a {listed(others)} port at its destinations, not {listed(sorted(p for _, p in wanted))}'
            )
        fix = f"name one that exists ({listed(names)}), or use its number" if names else "use the port's number"
        yield Finding("ND004", where, message, "correct the protocol" if others else fix, direction, rule.number)
