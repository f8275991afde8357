"""Judge a cell by what its probes saw.

A cell covers every pod of one workload to every pod of another, in every IP family of the lab.

- It is open as asked when every probe was answered by the right server.
- It is closed as asked when no probe reached a pod. A refused connection did reach it: the pod's own kernel answered
  that nobody listens, so no policy stands in the way, and the next server on that port would be exposed. By way of a
  Service a refusal proves nothing of the kind: kube-proxy rejects what has no endpoint.
- Anything between is wrong, with the pairs that differ.
- A probe that could not be made says nothing at all: the cell could not run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.ports import Outcome
from grader.report import Cell, Expectation, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.checks.expect import Wanted
    from grader.plan import Planned
    from grader.ports import Observation

MOST_PAIRS = 3
"""How many differing pairs of pods a message names."""


def judge(
    planned: Planned, wanted: Wanted, observations: Sequence[Observation], clients: frozenset[str] = frozenset()
) -> Cell:
    """The judged cell.

    Args:
        planned: the cell and who may answer.
        wanted: what is asked.
        observations: one for each of its probes, in any order.
        clients: the addresses that count as `wanted.seen_as`.
    """
    ordered = tuple(sorted(observations, key=lambda seen: (seen.probe.source, seen.probe.destination, _rest(seen))))
    failed = [seen for seen in ordered if seen.outcome is Outcome.ERROR]
    if failed:
        details = dict.fromkeys(f"{_pair(seen)}: {seen.detail or 'the probe could not be made'}" for seen in failed)
        return Cell(planned.key, wanted.expectation, State.COULD_NOT_RUN, None, ordered, tuple(details)[:MOST_PAIRS])
    if planned.problem:
        state = State.NOT_JUDGED if wanted.expectation is Expectation.ANY else State.MISSING
        return Cell(planned.key, wanted.expectation, state, is_open=False, why=(planned.problem,))
    if wanted.expectation is Expectation.CLOSED:
        return _judge_closed(planned, wanted, ordered)
    return _judge_open(planned, wanted, ordered, clients)


def _judge_closed(planned: Planned, wanted: Wanted, observations: tuple[Observation, ...]) -> Cell:
    reached = [seen for seen in observations if _reached(seen)]
    if not reached:
        return Cell(planned.key, wanted.expectation, State.AS_EXPECTED, is_open=False, observations=observations)
    why = _some("reached", reached, observations)
    if all(seen.outcome is Outcome.REFUSED for seen in reached):
        why = (*why, "nobody listens there, but the pod itself answered so: no policy stopped the packet")
    return Cell(
        planned.key, wanted.expectation, State.OVER_PERMISSION, is_open=True, observations=observations, why=why
    )


def _judge_open(
    planned: Planned, wanted: Wanted, observations: tuple[Observation, ...], clients: frozenset[str]
) -> Cell:
    key, expectation = planned.key, wanted.expectation
    wrong = [seen for seen in observations if not _answered(seen, planned)]
    why = _some("not open", wrong, observations)
    if any(seen.outcome is Outcome.REFUSED for seen in wrong):
        why = (*why, f"the connection was refused: nobody listens on port {key.port}")
    impostors = sorted({seen.answered_by for seen in wrong if seen.outcome is Outcome.OPEN})
    if impostors:
        why = (*why, f"{', '.join(impostors)} answered instead of {key.destination}")
    if not wrong and wanted.seen_as:
        if not all(seen.seen_as for seen in observations):
            unknown = "the server did not tell which client it saw"
            return Cell(key, expectation, State.COULD_NOT_RUN, None, observations, (unknown,))
        wrong = [seen for seen in observations if seen.seen_as not in clients]
        addresses = ", ".join(sorted({seen.seen_as for seen in wrong}))
        why = (f"it answered, but saw {addresses} instead of {wanted.seen_as}",) if wrong else ()
    if expectation is Expectation.ANY:
        return Cell(key, expectation, State.NOT_JUDGED, not wrong, observations)
    state = State.OVER_RESTRICTION if wrong else State.AS_EXPECTED
    return Cell(key, expectation, state, not wrong, observations, why)


def _reached(seen: Observation) -> bool:
    return seen.outcome is Outcome.OPEN or (seen.outcome is Outcome.REFUSED and seen.probe.via == "pod")


def _answered(seen: Observation, planned: Planned) -> bool:
    """Tell whether the right server answered; a dataplane that cannot tell who did leaves `answered_by` empty."""
    if seen.outcome is not Outcome.OPEN:
        return False
    right = {seen.probe.destination} if seen.probe.via == "pod" else planned.servers
    return not seen.answered_by or seen.answered_by in right


def _some(word: str, part: Sequence[Observation], whole: Sequence[Observation]) -> tuple[str, ...]:
    """Name the pairs when only some differ; the whole cell needs no list."""
    if not part or len(part) == len(whole):
        return ()
    named = ", ".join(_pair(seen) for seen in part[:MOST_PAIRS])
    more = f" and {len(part) - MOST_PAIRS} more" if len(part) > MOST_PAIRS else ""
    return (f"{len(part)} of {len(whole)} pairs of pods {word}: {named}{more}",)


def _pair(seen: Observation) -> str:
    family = " (IPv6)" if seen.probe.family == 6 else ""
    return f"{seen.probe.source} -> {seen.probe.destination}{family}"


def _rest(seen: Observation) -> tuple[int, str, int]:
    return seen.probe.family, seen.probe.protocol, seen.probe.port
