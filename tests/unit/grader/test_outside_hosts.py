"""Outside hosts have addresses: servers see clients by them, and rules for address ranges match them."""

from __future__ import annotations

from typing import Any

import pytest

from content.model import Check, Connectivity, Task
from grader.grade import grade
from grader.ports import Capabilities, Observation, Outcome, Probe
from grader.report import State

ARROW = "bastion -> customer:80 via nodeport seen as bastion"


def lab(bank: Any) -> Any:
    task = Task(id="only", title="Only", points=4, checks=(Check(connectivity=Connectivity(allow=(ARROW,))),))
    made = bank.lab(task)
    topology = made.spec.topology.model_copy(update={"hosts": ("bastion",)})
    return made.model_copy(update={"spec": made.spec.model_copy(update={"topology": topology})})


@pytest.mark.parametrize(
    ("seen_as", "state"),
    [("203.0.113.10", State.AS_EXPECTED), ("172.18.0.2", State.OVER_RESTRICTION), ("", State.COULD_NOT_RUN)],
)
async def test_a_server_has_to_see_the_host_itself(bank: Any, fake_cluster: Any, seen_as: str, state: State) -> None:
    def outcome(probe: Probe) -> Observation:
        assert (probe.source, probe.destination, probe.port) == ("host:bastion", "node:node-1", 30080)
        return Observation(probe, Outcome.OPEN, seen_as=seen_as)

    cluster = fake_cluster(bank.running(bank.objects), outcome)
    cluster.capabilities = Capabilities("fake", "none", simulated=False, hosts={"bastion": ("203.0.113.10",)})
    if state is State.COULD_NOT_RUN:
        with pytest.raises(Exception, match="did not tell which client it saw"):
            await grade(lab(bank), cluster)
        return
    report = await grade(lab(bank), cluster)
    (cell,) = report.tasks[0].checks[0].cells
    assert cell.state is state
