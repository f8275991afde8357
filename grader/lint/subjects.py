"""Policies that select nothing, or only pods that no policy judges; labels that are nearly what was written."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from grader.calico.selectors import Compare, Junction, Negation
from grader.lint.finding import Finding
from grader.lint.scene import listed
from grader.policy.model import AllOf, AnyOf, Labelled, Nodes, Not, Selected
from grader.reachability.population import Population

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.calico.selectors import Expression
    from grader.kube.model import LabelSelector
    from grader.lint.scene import Scene
    from grader.policy.model import Match
    from grader.reachability.verdict import PolicyRef

_DIGITS = re.compile("[0-9]+")

Labels = list["Mapping[str, str]"]


def subjects(scene: Scene) -> Iterator[Finding]:
    """Yield findings on what policies select."""
    guests = tuple(replace(each, selectable=True) for each in scene.endpoints if each.host_network)
    as_pods = Population(guests, scene.world.family)
    seen: set[PolicyRef] = set()
    for _, where, policy in scene.policies:
        if where in seen or scene.subjects(policy):
            continue
        seen.add(where)
        if as_pods.matching(policy.subject):
            yield Finding(
                "ND002",
                where,
                f"it selects only pods in their node's network ({policy.subject})",
                "protect the node instead: a HostEndpoint with a GlobalNetworkPolicy, or its firewall",
            )
            continue
        typo = near_label(scene, policy.subject)
        if typo:
            yield Finding("ND012", where, f"it selects nothing: {typo[0]}", typo[1])
        else:
            fix = "correct the selector, or delete the policy if what it protected is gone"
            yield Finding("ND001", where, f"it selects nothing ({policy.subject})", fix)


def near_label(scene: Scene, match: Match) -> tuple[str, str] | None:
    """Return what no endpoint has and what is nearly the same, as a sentence and a fix; None where nothing is near."""
    for key, value, labels in _conditions(scene, match):
        if any(each.get(key) == value for each in labels):
            continue
        if found := _near(key, value, labels):
            return f"nothing has the label {key}={value}", f"did you mean {listed(found)}?"
    return None


def _conditions(scene: Scene, match: Match) -> Iterator[tuple[str, str, Labels]]:
    """Every label that a match asks for, with the labels among which it must be found."""
    match match:
        case Selected():
            inside = [
                each
                for each in scene.endpoints
                if each.selectable
                and (not match.namespace or each.namespace == match.namespace)
                and (match.namespaces is None or match.namespaces.matches(each.namespace_labels))
            ]
            spaces: Labels = [namespace.labels for namespace in scene.world.objects.namespaces]
            yield from ((key, value, spaces) for key, value in _asked(match.namespaces))
            yield from ((key, value, [each.labels for each in inside]) for key, value in _asked(match.pods))
        case Nodes():
            nodes: Labels = [each.node_labels for each in scene.endpoints if each.node_labels is not None]
            yield from ((key, value, nodes) for key, value in _asked(match.selector))
        case Labelled():
            seen: Labels = [each.calico for each in scene.endpoints if each.calico is not None]
            yield from ((key, value, seen) for key, value in _compared(match.expression))
        case AnyOf() | AllOf():
            for operand in match.operands:
                yield from _conditions(scene, operand)
        case Not():
            yield from _conditions(scene, match.operand)


def _asked(selector: LabelSelector | None) -> Iterator[tuple[str, str]]:
    for requirement in selector.requirements if selector is not None else ():
        if requirement.operator == "In":
            yield from ((requirement.key, value) for value in requirement.values)


def _compared(expression: Expression) -> Iterator[tuple[str, str]]:
    match expression:
        case Compare() if expression.operator in ("==", "in"):
            yield from ((expression.key, value) for value in expression.values)
        case Negation():
            yield from _compared(expression.operand)
        case Junction():
            for operand in expression.operands:
                yield from _compared(operand)


def _near(key: str, value: str, labels: Labels) -> list[str]:
    """Labels with the same key and a near value, with a near key and the same value, or with the same value."""
    pairs = {pair for each in labels for pair in each.items()}
    # app-1 and app-2 are siblings, no slip of the pen.
    stem = _DIGITS.sub("", value)
    values = sorted(other for known, other in pairs if known == key and _DIGITS.sub("", other) != stem)
    if close := _close(value, values):
        return [f"{key}={each}" for each in close]
    keys = sorted(known for known, other in pairs if other == value and not known.startswith("projectcalico.org/"))
    close = (
        get_close_matches(key, keys, n=2, cutoff=0.75)
        or [known for known in keys if known.rpartition("/")[2] in (key, "name", "app", "instance", "component")][:2]
    )
    return [f"{each}={value}" for each in close]


def _close(word: str, others: list[str]) -> list[str]:
    """The words that a slip of the fingers could have meant."""
    return [each for each in others if len(word) > 2 and _one_edit(word, each)][:2] or get_close_matches(
        word, others, n=2, cutoff=0.75
    )


def _one_edit(word: str, other: str) -> bool:
    """Tell whether one letter was changed, left out, added, or swapped with its neighbour."""
    if len(word) > len(other):
        word, other = other, word
    start = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), len(word))
    if len(word) < len(other):
        return word[start:] == other[start + 1 :]
    swapped = word[start : start + 2] == other[start : start + 2][::-1] and word[start + 2 :] == other[start + 2 :]
    return word != other and (word[start + 1 :] == other[start + 1 :] or swapped)
