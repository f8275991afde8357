"""A lab and a cluster to a report."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.arrows import Port
from content.errors import BrokenContentError, UsageError
from grader.baseline import baseline
from grader.errors import InfrastructureError, NotCapableError, NotEnforcedError
from grader.explanation import LOST, PASSED
from grader.grade import cells_of, explain_cell, grade, observe
from grader.kube.parse import read_objects
from grader.ports import Observation, Outcome, Probe
from grader.report import CellKey, Expectation, State
from grader.simulate import SimulatedCluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from content.model import Lab

Objects = list[dict[str, Any]]


@pytest.fixture
def lab(bank: Any) -> Lab:
    """Protect the database; keep what the app needs."""
    protect = bank.task({"allow": ("summary -> database",), "others": "deny", "to": ("database",)}, name="protect")
    app = bank.task({"allow": ("customer -> summary",), "deny": ("guest.outside -> summary",)}, name="app", points=4)
    return bank.lab(protect, app)


@pytest.fixture
def objects(bank: Any) -> Objects:
    return bank.running(bank.objects + bank.system)


def ingress(bank: Any, to: str, *sources: str) -> dict[str, Any]:
    peers = [{"podSelector": {"matchLabels": {"app": source}}} for source in sources]
    return bank.policy(to, {"podSelector": {"matchLabels": {"app": to}}, "ingress": [{"from": peers}]})


@pytest.fixture
def solution(bank: Any) -> Objects:
    return [ingress(bank, "database", "summary"), ingress(bank, "summary", "customer")]


async def test_the_untouched_start_earns_nothing(lab: Lab, objects: Objects) -> None:
    report = await grade(lab, SimulatedCluster(objects))
    assert [(task.id, task.held, task.earned) for task in report.tasks] == [("protect", False, 0), ("app", False, 0)]
    assert (report.earned, report.points, report.simulated) == (0, 14, True)


async def test_the_solution_earns_everything(lab: Lab, objects: Objects, solution: Objects) -> None:
    report = await grade(lab, SimulatedCluster(objects + solution), hint_cost=3)
    assert report.held
    assert (report.earned, report.points) == (11, 14)
    assert all(check.share == 1 for task in report.tasks for check in task.checks)


@pytest.mark.parametrize(
    ("applied", "earned"),
    [
        (["database"], {"protect": 10, "app": 0}),
        (["summary"], {"protect": 0, "app": 4}),
        ([], {"protect": 0, "app": 0}),
    ],
)
async def test_each_task_is_judged_alone(
    lab: Lab, objects: Objects, solution: Objects, applied: list[str], earned: dict[str, int]
) -> None:
    part = [item for item in solution if item["metadata"]["name"] in applied]
    report = await grade(lab, SimulatedCluster(objects + part))
    assert {task.id: task.earned for task in report.tasks} == earned


async def test_closing_everything_earns_nothing(lab: Lab, objects: Objects, bank: Any) -> None:
    everything = {"podSelector": {}, "policyTypes": ["Ingress"]}
    report = await grade(lab, SimulatedCluster([*objects, bank.policy("deny", everything)]))
    assert report.earned == 0
    assert {cell.state for task in report.tasks for check in task.checks for cell in check.cells} == {
        State.AS_EXPECTED,
        State.OVER_RESTRICTION,
    }


async def test_an_over_permissive_answer_is_told_what_it_opened_and_by_which_rule(
    lab: Lab, objects: Objects, solution: Objects, bank: Any
) -> None:
    solution[0] = ingress(bank, "database", "summary", "customer")
    report = await grade(lab, SimulatedCluster(objects + solution))
    wrong = [cell for cell in report.tasks[0].checks[0].cells if cell.state is not State.AS_EXPECTED]
    assert [(str(cell.key), cell.state) for cell in wrong] == [("customer -> database:2379", State.OVER_PERMISSION)]
    assert any("bank/database" in line and "rule 1" in line for line in wrong[0].why)


async def test_no_explanation_where_none_is_wanted(lab: Lab, objects: Objects) -> None:
    report = await grade(lab, SimulatedCluster(objects), explain=False)
    assert not any(cell.why for task in report.tasks for check in task.checks for cell in check.cells)


async def test_every_probe_is_made_once_for_all_checks(lab: Lab, objects: Objects, fake_cluster: Any) -> None:
    cluster = fake_cluster(objects)
    await grade(lab, cluster)
    (batch,) = cluster.batches
    assert len(batch) == len(set(batch))


async def test_a_dataplane_that_does_not_enforce_is_no_wrong_answer(
    lab: Lab, objects: Objects, fake_cluster: Any
) -> None:
    cluster = fake_cluster(objects, enforces=False)
    with pytest.raises(NotEnforcedError):
        await grade(lab, cluster)
    assert not cluster.batches


async def test_a_family_that_the_cluster_lacks_is_no_wrong_answer(
    bank: Any, objects: Objects, fake_cluster: Any
) -> None:
    lab = bank.lab(bank.task({"allow": ("customer -> summary",)}), families=("ipv4", "ipv6"))
    with pytest.raises(NotCapableError, match="IPv6"):
        await grade(lab, fake_cluster(objects, families=(4,)))


def failing(times: int) -> Callable[[Probe], Outcome | Observation]:
    """A network in which the first probes from the guest cannot be made."""
    left = [times]

    def outcome(probe: Probe) -> Outcome | Observation:
        if probe.source.startswith("outside/") and left[0]:
            left[0] -= 1
            return Observation(probe, Outcome.ERROR, detail="no such process")
        return Outcome.OPEN

    return outcome


async def test_a_probe_that_failed_is_made_once_more_and_alone(lab: Lab, objects: Objects, fake_cluster: Any) -> None:
    cluster = fake_cluster(objects, failing(1))
    await grade(lab, cluster)
    assert [len(batch) for batch in cluster.batches][1:] == [1]


async def test_a_probe_that_fails_twice_is_no_wrong_answer(lab: Lab, objects: Objects, fake_cluster: Any) -> None:
    with pytest.raises(InfrastructureError, match="neither right nor wrong") as raised:
        await grade(lab, fake_cluster(objects, failing(1000)))
    assert "guest.outside -> database:2379" in raised.value.message
    assert "no such process" in raised.value.message


async def test_pods_that_do_not_run_are_named(lab: Lab, objects: Objects, fake_cluster: Any) -> None:
    for item in objects:
        if item["metadata"]["name"] == "guest-abc-0":
            item["status"] = {"phase": "Pending"}
    with pytest.raises(InfrastructureError, match="pod outside/guest-abc-0 does not run"):
        await grade(lab, fake_cluster(objects, failing(1000)))


async def test_pods_that_are_replaced_meanwhile_are_looked_at_again(
    lab: Lab, objects: Objects, solution: Objects, fake_cluster: Any
) -> None:
    old = [item for item in objects if item["metadata"]["name"] == "summary-abc-0"]
    new = [{**item, "metadata": {**item["metadata"], "name": "summary-abc-1"}} for item in old]
    good = SimulatedCluster([item for item in objects if item not in old] + new + solution)
    cluster = fake_cluster(objects + solution)

    async def probe(probes: Any) -> Any:
        if any("summary-abc-0" in probe.source + probe.destination for probe in probes):
            cluster.objects = list(await good.snapshot())
            return tuple(Observation(probe, Outcome.ERROR, detail="gone") for probe in probes)
        return await good.probe(probes)

    cluster.probe = probe
    assert (await grade(lab, cluster)).held


async def test_looking_shows_a_cell_that_could_not_run(lab: Lab, objects: Objects, fake_cluster: Any) -> None:
    cells = {str(cell.key): cell for cell in await observe(lab, fake_cluster(objects, failing(1000)))}
    stuck = cells["guest.outside -> database:2379"]
    assert (stuck.state, stuck.is_open) == (State.COULD_NOT_RUN, None)
    assert cells["summary -> database:2379"].state is State.AS_EXPECTED


async def test_a_deleted_workload_is_a_wrong_answer(lab: Lab, objects: Objects, solution: Objects) -> None:
    left = [
        item
        for item in objects
        if not item["metadata"]["name"].startswith("guest") or item["metadata"]["namespace"] != "outside"
    ]
    report = await grade(lab, SimulatedCluster(left + solution))
    assert not report.held
    cells = {str(cell.key): cell for cell in report.tasks[0].checks[0].cells}
    gone = cells["guest.outside -> database:2379"]
    assert gone.state is State.MISSING
    assert "there is no workload guest.outside" in gone.why[0]


@pytest.mark.parametrize(
    ("policy", "outcome", "cell", "said"),
    [
        # the rules allow, the network loses it
        (False, Outcome.DROPPED, "summary -> database:2379", LOST),
        # the rules deny, the network lets it through
        (True, Outcome.OPEN, "customer -> database:2379", PASSED),
    ],
)
async def test_rules_and_traffic_that_disagree_are_said_so(
    lab: Lab,
    objects: Objects,
    solution: Objects,
    fake_cluster: Any,
    *,
    policy: bool,
    outcome: Outcome,
    cell: str,
    said: str,
) -> None:
    cluster = fake_cluster(objects + (solution if policy else []), lambda _probe: outcome)
    report = await grade(lab, cluster)
    cells = {str(cell.key): cell for cell in report.tasks[0].checks[0].cells}
    assert said in cells[cell].why


async def test_one_pod_that_is_treated_differently_makes_the_cell_wrong(
    lab: Lab, objects: Objects, fake_cluster: Any
) -> None:
    def one_lost(probe: Probe) -> Outcome:
        return Outcome.DROPPED if probe.source == "bank/customer-abc-1" else Outcome.OPEN

    report = await grade(lab, fake_cluster(objects, one_lost))
    cell = next(cell for cell in report.tasks[1].checks[0].cells if cell.key.source == "customer")
    assert cell.state is State.OVER_RESTRICTION
    assert "1 of 2 pairs of pods not open: bank/customer-abc-1 -> bank/summary-abc-0" in cell.why
    assert LOST in cell.why


async def test_looking_covers_the_whole_matrix_with_what_all_tasks_ask(lab: Lab, objects: Objects) -> None:
    cells = {str(cell.key): cell for cell in await observe(lab, SimulatedCluster(objects))}
    assert len(cells) == 12
    assert cells["guest.outside -> database:2379"].expected is Expectation.CLOSED
    assert cells["customer -> summary:80"].expected is Expectation.OPEN
    assert cells["database -> customer:80"].expected is Expectation.ANY


async def test_why_a_cell_is_closed(lab: Lab, objects: Objects, solution: Objects) -> None:
    snapshot = objects + solution
    (key,) = cells_of(lab, snapshot, "guest.outside -> database")
    lines = explain_cell(lab, snapshot, key)
    assert "dropped" in lines[0]
    assert any("bank/database" in line for line in lines[1:])
    with pytest.raises(UsageError, match="no workload nobody"):
        cells_of(lab, snapshot, "nobody -> database")


async def test_why_pods_of_one_cell_differ(lab: Lab, objects: Objects, bank: Any) -> None:
    one = next(item for item in objects if item["metadata"]["name"] == "customer-abc-1")
    one["metadata"]["labels"]["app"] = "other"
    snapshot = [*objects, ingress(bank, "summary", "customer")]
    lines = explain_cell(lab, snapshot, CellKey("customer", "summary", Port(80)))
    assert "treated differently" in lines[0]
    assert sum("-> bank/summary-abc-0:80/TCP" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("check", "cause"),
    [
        ({"allow": ("customer -> summary",), "deny": ("customer -> summary",)}, "in `allow` and in `deny`"),
        ({"allow": ("customer => summary",)}, "column 10"),
    ],
)
async def test_a_lab_that_makes_no_sense_is_broken_content(
    bank: Any, objects: Objects, check: dict[str, Any], cause: str
) -> None:
    with pytest.raises(BrokenContentError, match=r"lab\.yaml") as raised:
        await grade(bank.lab(bank.task(check)), SimulatedCluster(objects))
    assert cause in raised.value.defects[0].cause


NAMES = ("customer", "summary", "database", "guest.outside")
PAIRS = [(a, b) for a in NAMES for b in NAMES if a != b]


@given(st.sets(st.sampled_from(PAIRS)), st.sampled_from(["deny", "allow"]), st.sets(st.sampled_from(PAIRS)))
def test_a_network_that_does_what_is_asked_earns_everything_and_any_other_does_not(
    bank: Any, fake_cluster: Any, listed: set[tuple[str, str]], others: str, flipped: set[tuple[str, str]]
) -> None:
    arrows = tuple(f"{source} -> {destination}" for source, destination in sorted(listed))
    lab = bank.lab(bank.task({"allow" if others == "deny" else "deny": arrows, "others": others}))

    def outcome(probe: Probe) -> Outcome:
        pair = tuple(workload(ref) for ref in (probe.source, probe.destination))
        is_open = (pair in listed) is (others == "deny")
        return Outcome.OPEN if is_open is not (pair in flipped) else Outcome.DROPPED

    report = asyncio.run(grade(lab, fake_cluster(bank.running(bank.objects), outcome), explain=False))
    assert report.held is not bool(flipped)
    assert (report.earned == report.points) is report.held
    wrong = {
        (cell.key.source, cell.key.destination)
        for cell in report.tasks[0].checks[0].cells
        if cell.state is not State.AS_EXPECTED
    }
    assert wrong == flipped


def workload(ref: str) -> str:
    namespace, _, pod = ref.partition("/")
    name = pod.partition("-")[0]
    return name if namespace == "bank" else f"{name}.{namespace}"


KEYS = [CellKey(source, "database", Port(2379)) for source in ("customer", "summary", "guest.outside")]


@pytest.mark.parametrize("change", ["policies", "labels", "deleted"])
def test_the_start_is_the_same_whatever_the_learner_did(
    lab: Lab, objects: Objects, solution: Objects, bank: Any, change: str
) -> None:
    lab = lab.model_copy(
        update={
            "start": (*lab.start, lab.start[0].model_copy(update={"objects": (ingress(bank, "database", "summary"),)}))
        }
    )
    if change == "policies":
        now = [*objects, *solution[1:]]
    elif change == "labels":
        now = [item for item in objects if item["kind"] != "Deployment"]
        for item in now:
            item["metadata"]["labels"] = {"app": "nothing"}
    else:
        now = []
    assert [baseline(lab, read_objects(now), KEYS)[key] for key in KEYS] == [False, True, False]


async def test_unchanged_means_the_start_also_by_address(bank: Any, objects: Objects) -> None:
    block = {
        "podSelector": {"matchLabels": {"app": "database"}},
        "ingress": [{"from": [{"ipBlock": {"cidr": "10.244.0.4/32"}}]}],
    }
    start = [*bank.objects, bank.policy("by-address", block)]
    lab = bank.lab(bank.task({"others": "unchanged", "to": ("database",)}), start=start)
    assert (await grade(lab, SimulatedCluster([*objects, start[-1]]))).held
    summary = next(item for item in objects if item["metadata"]["name"] == "summary-abc-0")
    assert summary["status"]["podIP"] == "10.244.0.4"
    assert not (await grade(lab, SimulatedCluster(objects))).held


async def test_by_way_of_a_service(bank: Any, objects: Objects, solution: Objects) -> None:
    lab = bank.lab(
        bank.task(
            {"allow": ("customer -> summary:8080 via service",), "deny": ("guest.outside -> summary via service",)}
        )
    )
    assert not (await grade(lab, SimulatedCluster(objects))).held
    assert (await grade(lab, SimulatedCluster(objects + solution))).held
    without = [item for item in objects if item["kind"] != "Service"]
    report = await grade(lab, SimulatedCluster(without + solution))
    assert "no Service in front of summary" in report.tasks[0].checks[0].cells[0].why[0]


async def test_by_way_of_a_node_s_port(bank: Any, objects: Objects) -> None:
    lab = bank.lab(bank.task({"deny": ("guest.outside -> customer:80 via nodeport",)}))
    assert not (await grade(lab, SimulatedCluster(objects))).held
    assert (await grade(lab, SimulatedCluster([*objects, ingress(bank, "customer", "summary")]))).held
