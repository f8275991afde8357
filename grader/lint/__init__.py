"""Policies that do not do what they look like: findings that follow from their meaning, each with a reason and a fix.

- `finding`    a finding as plain data, and the catalogue of codes
- `scene`      a world with what all lints ask of it
- `subjects`   policies that select nothing, or pods that no policy judges; selectors with a near label
- `rules`      peers and named ports that match nothing
- `shadow`     rules that are never asked, duplicates
- `traffic`    egress without DNS, ranges that miss what they mean
- `apis`       directions, orders and whole APIs that are not enforced
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.lint.apis import apis
from grader.lint.rules import rules
from grader.lint.scene import Scene
from grader.lint.shadow import shadowed
from grader.lint.subjects import subjects
from grader.lint.traffic import traffic

if TYPE_CHECKING:
    from grader.lint.finding import Finding
    from grader.reachability.world import World

__all__ = ["lint"]


def lint(world: World) -> tuple[Finding, ...]:
    """Return every finding, by file and line, then by policy, rule and code."""
    scene = Scene(world)
    found = {finding for part in (subjects, rules, shadowed, traffic, apis) for finding in part(scene)}
    return tuple(sorted(found, key=lambda each: each.place))
