"""Staged policies: what a snapshot would be with some of them enforced."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from content.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.calico.model import CalicoPolicy
    from grader.kube.model import Objects


def enforce_staged(objects: Objects, names: Iterable[str] | None = None) -> Objects:
    """Return the snapshot with staged policies in force: they replace what they stage, or (Delete) take it away.

    Args:
        objects: the snapshot.
        names: `name` or `namespace/name` of those to enforce; None is all but those whose action is Ignore.

    Raises:
        UsageError: a name is no staged policy's.
    """
    staged = [policy for policy in objects.calico_policies if policy.staged]
    if names is None:
        chosen = [policy for policy in staged if policy.staged_action != "Ignore"]
    else:
        chosen = [policy for name in names for policy in _called(staged, name)]
    for policy in chosen:
        objects = _enforced(objects, policy)
    return objects


def _called(staged: list[CalicoPolicy], name: str) -> list[CalicoPolicy]:
    found = [policy for policy in staged if name in (policy.name, f"{policy.namespace}/{policy.name}")]
    if not found:
        known = ", ".join(f"{each.namespace}/{each.name}".lstrip("/") for each in staged)
        raise UsageError(f"there is no staged policy {name}", remedy=f"staged are: {known}" if known else "none is")
    return found


def _enforced(objects: Objects, staged: CalicoPolicy) -> Objects:
    removes = staged.staged_action == "Delete"
    if staged.kubernetes is not None:
        kept = [each for each in objects.policies if (each.namespace, each.name) != (staged.namespace, staged.name)]
        kept += [] if removes else [staged.kubernetes]
        policies = tuple(sorted(kept, key=lambda policy: (policy.namespace, policy.name)))
        return replace(objects, policies=policies, calico_policies=_without(objects, staged))
    made = replace(staged, kind=staged.kind.removeprefix("Staged"), staged=False, staged_action="")
    identity = made.kind, made.namespace, made.name
    rest = [each for each in _without(objects, staged) if (each.kind, each.namespace, each.name) != identity]
    rest += [] if removes else [made]
    return replace(
        objects, calico_policies=tuple(sorted(rest, key=lambda each: (each.kind, each.namespace, each.name)))
    )


def _without(objects: Objects, staged: CalicoPolicy) -> tuple[CalicoPolicy, ...]:
    return tuple(policy for policy in objects.calico_policies if policy is not staged)
