"""Rules that are never asked, because rules before them decide all that they would match; rules said twice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from grader.lint.finding import Finding
from grader.lint.scene import listed
from grader.policy.kubernetes import KIND
from grader.policy.model import EGRESS, INGRESS, Effect
from grader.reachability.portclasses import split
from grader.reachability.tiers import ref

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.lint.scene import Scene
    from grader.policy.model import Policy, Rule, Tier
    from grader.reachability.bits import Bits
    from grader.reachability.universe import Rectangle, Selecting, Universe

Key = tuple[str, int, int]
"""Direction, the policy's identity, and the number of a rule as its author counts."""

Step = tuple["Tier", "Policy", "Rule", "list[Rectangle]"]
"""A rule in its place, with what it matches."""


def shadowed(scene: Scene) -> Iterator[Finding]:
    """Yield findings on rules that change nothing."""
    asking = _Asking(scene.world.reach(scene.world.family).universe)
    for direction in (INGRESS, EGRESS):
        tiers = scene.world.book.tiers(direction)
        known: set[int] = set()
        for place, selecting in enumerate(asking.universe.selecting(tiers)):
            if selecting and id(selecting) not in known:
                known.add(id(selecting))
                asking.subject(selecting, direction, place)
    for direction, where, policy in scene.policies:
        for number in dict.fromkeys(rule.number for rule in policy.rules):
            key = (direction, id(policy), number)
            if asking.matched.get(key) and not asking.decided.get(key):
                before = listed(dict.fromkeys(asking.before.get(key, ())))
                message = f"it is never asked: {before} decide{'' if ',' in before else 's'} all that it matches"
                yield Finding("ND005", where, message, "move it before them, or remove it", direction, number)
    yield from _duplicates(scene)


class _Asking:
    """Asks every rule in order at every kind of subject, and notes what is left for each."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.matched: dict[Key, bool] = {}
        self.decided: dict[Key, bool] = {}
        self.before: dict[Key, list[str]] = {}

    def subject(self, selecting: Selecting, direction: str, place: int) -> None:
        universe = self.universe
        steps = [
            (tier, policy, rule, self._found(rule, direction, place))
            for tier, policies in selecting
            for policy in policies
            for rule in policy.rules
            if universe.family in rule.families
            and not (rule.subjects and not universe.population.any_of(rule.subjects) >> place & 1)
        ]
        masks = {mask for *_, rectangles in steps for mask, _ in rectangles}
        for part in split(universe.ports.everything, masks):
            self._port(steps, selecting, direction, part & -part)

    def _found(self, rule: Rule, direction: str, place: int) -> list[Rectangle]:
        return [each for each in self.universe.rectangles(rule, direction, place) if all(each)]

    def _port(self, steps: Sequence[Step], selecting: Selecting, direction: str, port: Bits) -> None:
        left = self.universe.population.everyone
        asked: list[tuple[str, Bits]] = []
        for tier, _ in selecting:
            passed = 0
            entering = left
            for policy, rule, rectangles in ((p, r, found) for t, p, r, found in steps if t is tier):
                wanted = 0
                for mask, peers in rectangles:
                    if mask & port:
                        wanted |= peers
                if not wanted:
                    continue
                # All rules of NetworkPolicies allow, so that their order says nothing: none is before another.
                free = entering if _additive(policy) else left
                key = (direction, id(policy), rule.number)
                self.matched[key] = True
                self.decided[key] = self.decided.get(key, False) or bool(wanted & free)
                if not wanted & free:
                    names = (name for name, meant in asked if meant & wanted)
                    self.before.setdefault(key, []).extend(name for name in names if name not in self.before[key])
                asked.append((f"{ref(policy)} rule {rule.number}", wanted & left))
                if rule.effect is Effect.PASS:
                    passed |= wanted & left
                left &= ~wanted
            left = passed | (left if tier.end is Effect.PASS else 0)


def _additive(policy: Policy) -> bool:
    """Tell Kubernetes' NetworkPolicy from Calico's."""
    return policy.kind == KIND and not policy.group


def _duplicates(scene: Scene) -> Iterator[Finding]:
    """Policies that say the same of the same endpoints, and rules that one policy has twice."""
    known: dict[tuple[object, ...], str] = {}
    # The one that was written first is the original.
    for direction, where, policy in sorted(scene.policies, key=lambda each: (each[1].file, each[1].line)):
        key = (direction, policy.kind, policy.group, policy.namespace, policy.subject, policy.rules)
        first = known.setdefault(key, str(where))
        if first != str(where):
            yield Finding("ND006", where, f"it says the same as {first}", "delete one of them", direction)
        counted = Counter((rule.effect, *_content(rule)) for rule in policy.rules)
        seen: set[tuple[object, ...]] = set()
        for rule in policy.rules:
            content = (rule.effect, *_content(rule))
            if counted[content] > 1 and content in seen:
                yield Finding("ND006", where, "an earlier rule says the same", "delete it", direction, rule.number)
            seen.add(content)


def _content(rule: Rule) -> tuple[object, ...]:
    """What a rule says, apart from its number."""
    ports = (rule.ports, rule.not_ports, rule.source_ports, rule.not_source_ports)
    return (rule.peers, *ports, rule.subjects, rule.families, rule.condition)
