"""Observations to states, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.arrows import Port
from grader.checks.connectivity import judge
from grader.checks.expect import Wanted
from grader.plan import Planned
from grader.ports import Observation, Outcome, Probe
from grader.report import CellKey, Expectation, State

if TYPE_CHECKING:
    import random

KEY = CellKey("web", "db", Port(5432))
OPEN, CLOSED, ANY = Expectation.OPEN, Expectation.CLOSED, Expectation.ANY
GOOD, OVER, UNDER = State.AS_EXPECTED, State.OVER_PERMISSION, State.OVER_RESTRICTION


def seen(outcomes: list[Outcome], via: str = "pod", **fields: str) -> list[Observation]:
    target = "shop/db-0" if via == "pod" else "service:shop/db"
    return [
        Observation(Probe(f"shop/web-{n}", target, 5432, via=via), outcome, **fields)
        for n, outcome in enumerate(outcomes)
    ]


def planned(via: str = "pod") -> Planned:
    probes = tuple(Probe(f"shop/web-{n}", "shop/db-0", 5432, via=via) for n in range(2))
    return Planned(CellKey("web", "db", Port(5432), via), probes, frozenset({"shop/db-0"}))


O, D, R, U, E = Outcome.OPEN, Outcome.DROPPED, Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.ERROR  # noqa: E741 - rows


@pytest.mark.parametrize(
    ("outcomes", "expected", "state", "is_open", "said"),
    [
        ([O, O], OPEN, GOOD, True, ""),
        ([D, D], OPEN, UNDER, False, ""),
        ([U, U], OPEN, UNDER, False, ""),
        ([O, D], OPEN, UNDER, False, "1 of 2 pairs of pods not open: shop/web-1"),
        ([R, R], OPEN, UNDER, False, "nobody listens on port 5432"),
        ([O, R], OPEN, UNDER, False, "nobody listens on port 5432"),
        ([D, D], CLOSED, GOOD, False, ""),
        ([D, U], CLOSED, GOOD, False, ""),
        ([O, O], CLOSED, OVER, True, ""),
        ([D, O], CLOSED, OVER, True, "1 of 2 pairs of pods reached: shop/web-1"),
        # the pod itself refused: no policy stopped the packet
        ([R, R], CLOSED, OVER, True, "no policy stopped the packet"),
        ([D, R], CLOSED, OVER, True, "no policy stopped the packet"),
        ([O, O], ANY, State.NOT_JUDGED, True, ""),
        ([D, D], ANY, State.NOT_JUDGED, False, ""),
        ([O, D], ANY, State.NOT_JUDGED, False, ""),
        # an error is never open or closed
        ([E, E], OPEN, State.COULD_NOT_RUN, None, "could not be made"),
        ([O, E], OPEN, State.COULD_NOT_RUN, None, "could not be made"),
        ([D, E], CLOSED, State.COULD_NOT_RUN, None, "could not be made"),
        ([O, E], CLOSED, State.COULD_NOT_RUN, None, "could not be made"),
        ([E, O], ANY, State.COULD_NOT_RUN, None, "could not be made"),
    ],
)
def test_outcomes_to_state(
    outcomes: list[Outcome], expected: Expectation, state: State, *, is_open: bool | None, said: str
) -> None:
    cell = judge(planned(), Wanted(expected), seen(outcomes))
    assert (cell.state, cell.is_open) == (state, is_open)
    assert said in " ".join(cell.why)
    assert bool(cell.why) == bool(said)


@pytest.mark.parametrize(
    ("via", "answered_by", "state"),
    [
        ("pod", "shop/db-0", GOOD),
        ("pod", "", GOOD),
        ("pod", "shop/decoy", UNDER),
        ("service", "shop/db-0", GOOD),
        ("service", "", GOOD),
        ("service", "shop/decoy", UNDER),
    ],
)
def test_only_the_right_server_s_answer_counts(via: str, answered_by: str, state: State) -> None:
    cell = judge(planned(via), Wanted(OPEN), seen([O], via, answered_by=answered_by))
    assert cell.state is state
    assert ("shop/decoy answered instead of db" in cell.why) == (state is UNDER)


def test_a_refusal_by_a_service_without_endpoints_reaches_no_pod() -> None:
    assert judge(planned("service"), Wanted(CLOSED), seen([R], "service")).state is GOOD


@pytest.mark.parametrize(
    ("address", "state", "is_open", "said"),
    [
        ("10.0.0.7", GOOD, True, ""),
        ("172.18.0.2", UNDER, False, "saw 172.18.0.2 instead of bastion"),
        ("", State.COULD_NOT_RUN, None, "did not tell"),
    ],
)
def test_the_client_that_the_server_saw(address: str, state: State, *, is_open: bool | None, said: str) -> None:
    cell = judge(planned(), Wanted(OPEN, "bastion"), seen([O, O], seen_as=address), frozenset({"10.0.0.7"}))
    assert (cell.state, cell.is_open) == (state, is_open)
    assert said in " ".join(cell.why)


@pytest.mark.parametrize(
    ("expected", "state"), [(OPEN, State.MISSING), (CLOSED, State.MISSING), (ANY, State.NOT_JUDGED)]
)  # fmt: skip
def test_a_workload_that_is_gone_is_wrong_either_way(expected: Expectation, state: State) -> None:
    cell = judge(Planned(KEY, problem="there is no workload db"), Wanted(expected), [])
    assert (cell.state, cell.is_open, cell.why) == (state, False, ("there is no workload db",))


@given(
    st.lists(st.sampled_from([O, D, R, U, E]), min_size=1, max_size=6),
    st.sampled_from([OPEN, CLOSED, ANY]),
    st.randoms(),
)
def test_the_order_of_observations_does_not_matter(
    outcomes: list[Outcome], expected: Expectation, chance: random.Random
) -> None:
    observations = seen(outcomes)
    mixed = observations.copy()
    chance.shuffle(mixed)
    assert judge(planned(), Wanted(expected), observations) == judge(planned(), Wanted(expected), mixed)


@given(st.lists(st.sampled_from([O, D, R, U]), min_size=1, max_size=6))
def test_no_traffic_is_right_both_as_open_and_as_closed(outcomes: list[Outcome]) -> None:
    states = [judge(planned(), Wanted(expected), seen(outcomes)).state for expected in (OPEN, CLOSED)]
    assert states.count(GOOD) <= 1
