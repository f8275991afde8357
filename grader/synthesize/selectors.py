"""The labels that mean exactly some pods of a namespace."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from grader.kube.model import LabelSelector, Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grader.policy.model import Endpoint

GENERATED = {
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "job-name",
}
"""Labels that controllers set and change: a policy that names them is wrong after the next rollout."""
USUAL = ("app.kubernetes.io/name", "app", "k8s-app", "name", "app.kubernetes.io/component", "component", "tier", "role")
"""Labels that people name workloads by, likeliest first."""
MOST_TOGETHER = 3


def exact_selector(wanted: Sequence[Endpoint], others: Iterable[Endpoint]) -> LabelSelector | None:
    """Return the plainest selector that means every wanted pod and none of the others; None where labels cannot.

    Plain is: few labels, usual ones first, positive ones before negative ones.
    """
    labels = [_lasting(each.labels) for each in wanted]
    rest = [_lasting(each.labels) for each in others]
    if not rest:
        rest = []
    shared = set(labels[0].items()).intersection(*(each.items() for each in labels)) if labels else set()
    positive = [Requirement(key, "In", (value,)) for key, value in sorted(shared, key=_usual)]
    for size in range(1, MOST_TOGETHER + 1):
        for chosen in combinations(positive, size):
            if _excludes(chosen, rest):
                return _sorted(chosen)
    requirements = [*positive, *_of_several(labels)]
    left = [each for each in rest if LabelSelector(tuple(requirements)).matches(each)]
    for found in _apart(labels, left):
        requirements.append(found)
        left = [each for each in left if LabelSelector((found,)).matches(each)]
    return _sorted(requirements) if not left and (requirements or not rest) else None


def _lasting(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key not in GENERATED}


def _usual(pair: tuple[str, str]) -> tuple[int, str]:
    return (USUAL.index(pair[0]) if pair[0] in USUAL else len(USUAL), pair[0])


def _excludes(chosen: Iterable[Requirement], rest: Iterable[Mapping[str, str]]) -> bool:
    selector = LabelSelector(tuple(chosen))
    return not any(selector.matches(each) for each in rest)


def _of_several(labels: Sequence[Mapping[str, str]]) -> Iterator[Requirement]:
    """A key that all have with different values."""
    for key in sorted(set(labels[0]).intersection(*labels)) if labels else ():
        values = tuple(sorted({each[key] for each in labels}))
        if len(values) > 1:
            yield Requirement(key, "In", values)


def _apart(labels: Sequence[Mapping[str, str]], left: Sequence[Mapping[str, str]]) -> Iterator[Requirement]:
    """What the others have and none of the wanted: keys, then values of keys."""
    for key in sorted({key for each in left for key in each}):
        values = {each[key] for each in labels if key in each}
        if not values:
            yield Requirement(key, "DoesNotExist")
        elif other := {each[key] for each in left if key in each} - values:
            yield Requirement(key, "NotIn", tuple(sorted(other)))


def _sorted(requirements: Iterable[Requirement]) -> LabelSelector:
    """As a manifest gives them back: single values by key, then the others."""
    listed = list(dict.fromkeys(requirements))
    exact = sorted((r for r in listed if r.operator == "In" and len(r.values) == 1), key=lambda r: r.key)
    return LabelSelector((*exact, *(r for r in listed if r not in exact)))
