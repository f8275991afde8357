"""Why a cell is what it is: the evaluator's explanation, and where the traffic disagrees with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.ports import Outcome
from grader.simulate import flow_of

if TYPE_CHECKING:
    from grader.plan import Planned
    from grader.ports import Observation, Probe
    from grader.reachability.verdict import Explanation
    from grader.reachability.world import World
    from grader.report import Cell

THROUGH = (Outcome.OPEN, Outcome.REFUSED)
LOST = "the rules allow this; the packet was still lost on its way"
PASSED = "the rules deny this; the packet still got through"


def why(world: World, cell: Cell) -> tuple[str, ...]:
    """Sentences on a cell that differs: what the judge found, then the rules that decided the first differing probe."""
    differing = _differing(cell)
    if differing is None:
        return cell.why
    explanation = _explain(world, differing.probe)
    through = differing.outcome in THROUGH
    note: tuple[str, ...] = ()
    if explanation.verdict.allowed and not through:
        note = (LOST,)
    elif through and not explanation.verdict.allowed:
        note = (PASSED,)
    return (*cell.why, *note, *explanation.lines())


def explain(world: World, planned: Planned) -> tuple[str, ...]:
    """Sentences on a cell from the rules alone; when they treat its pods differently, one explanation of each kind."""
    if planned.problem:
        return (planned.problem,)
    kinds: dict[bool, Explanation] = {}
    for probe in planned.probes:
        explanation = _explain(world, probe)
        kinds.setdefault(explanation.verdict.allowed, explanation)
        if len(kinds) > 1:
            break
    mixed = (f"{planned.key}: its pods are treated differently",) if len(kinds) > 1 else ()
    return (*mixed, *(line for explanation in kinds.values() for line in explanation.lines()))


def _explain(world: World, probe: Probe) -> Explanation:
    return world.explain(flow_of(world, probe))


def _differing(cell: Cell) -> Observation | None:
    """The first probe that went otherwise than it should; the first of all where each alone went as it should."""
    if cell.is_open:
        wrong = [seen for seen in cell.observations if seen.outcome in THROUGH]
    else:
        wrong = [seen for seen in cell.observations if seen.outcome is not Outcome.OPEN]
    return next(iter(wrong or cell.observations), None)
