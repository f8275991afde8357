"""Facts of nodes to a judgement: which signs count, and what is said where they are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from content.model import Check, Connectivity, Dataplane, Task
from grader.checks.dataplane import judge
from grader.dataplane import DataplaneFacts, Frontend, NodeFacts
from grader.errors import ClusterGoneError, InfrastructureError, NotCapableError, NotEnforcedError
from grader.grade import grade
from grader.kube.parse import read_objects
from grader.ports import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from content.model import Lab
    from grader.report import Report

IPTABLES = NodeFacts(
    "node-1",
    "eth0",
    chains=9,
    service_chains=14,
    kube_proxy="kube-system/kube-proxy-x",
    kube_proxy_ready=True,
    agent="calico-system/calico-node-x",
    agent_ready=True,
)
EBPF = NodeFacts(
    "node-1",
    "eth0",
    programs=("cali_tc_preambl",),
    maps=("cali_v4_nat_fe3", "cali_v4_nat_be"),
    devices=("bpfin.cali", "bpfout.cali"),
    frontends=(Frontend("10.96.0.9", 8080, "TCP", ("10.244.0.3:80",)),),
    agent="calico-system/calico-node-x",
    agent_ready=True,
)
ALL = Dataplane(mode="ebpf", kube_proxy="gone", services=("summary",))


def facts(*nodes: NodeFacts, configured: str = "ebpf") -> DataplaneFacts:
    named = [replace(node, node=f"node-{number}") for number, node in enumerate(nodes, 1)]
    return DataplaneFacts(tuple(named), configured)


def found(bank: Any, asked: Dataplane, given: DataplaneFacts) -> dict[str, tuple[str, ...]]:
    judged = judge(asked, given, read_objects(bank.running(bank.objects)), "bank")
    assert all(item.held is not bool(item.found) for item in judged)
    return {item.name: item.found for item in judged}


def test_ebpf_on_every_node_holds(bank: Any) -> None:
    assert found(bank, ALL, facts(EBPF, EBPF)) == {"mode": (), "kube_proxy": (), "services": ()}


@pytest.mark.parametrize(
    ("asked", "node", "sentence"),
    [
        ({"mode": "ebpf"}, IPTABLES, "no eBPF program of Calico's on eth0"),
        ({"mode": "ebpf"}, replace(EBPF, programs=("other_prog",)), "on eth0 (only other_prog)"),
        ({"mode": "ebpf"}, replace(EBPF, maps=("cali_state4",)), "no eBPF map of Services"),
        ({"mode": "ebpf"}, replace(EBPF, devices=("vxlan.calico",)), "no device bpfin.cali"),
        # Programs that an earlier, healthy agent left prove nothing.
        ({"mode": "ebpf"}, replace(EBPF, agent_ready=False, complaint="bailing out"), "is not ready: bailing out"),
        ({"mode": "ebpf"}, replace(EBPF, agent=""), "no pod of calico-node runs there"),
        ({"mode": "iptables"}, replace(EBPF, chains=4), "the eBPF program cali_tc_preambl is on eth0"),
        ({"mode": "iptables"}, replace(IPTABLES, chains=0), "no policy chain of Calico's in iptables"),
        ({"mode": "nftables"}, IPTABLES, "no table of Calico's in nftables"),
        ({"kube_proxy": "gone"}, IPTABLES, "kube-system/kube-proxy-x still runs"),
        ({"kube_proxy": "gone"}, replace(EBPF, service_chains=14), "its chains in iptables (14) are still there"),
        ({"kube_proxy": "gone"}, replace(EBPF, nftables=("kube-proxy",)), "its table in nftables is still there"),
        ({"kube_proxy": "running"}, EBPF, "no pod of kube-proxy runs there"),
        ({"kube_proxy": "running"}, replace(IPTABLES, kube_proxy_ready=False), "kube-proxy-x is not ready"),
        ({"services": ("summary",)}, IPTABLES, "there is no eBPF NAT table"),
        ({"services": ("customer",)}, EBPF, "does not list customer at 10.96.0.9:80 with backends"),
        (
            {"services": ("summary",)},
            replace(EBPF, frontends=(Frontend("10.96.0.9", 8080, "TCP"),)),
            "does not list summary at 10.96.0.9:8080 with backends",
        ),
    ],
)
def test_each_missing_sign_is_named_with_its_node(
    bank: Any, asked: dict[str, Any], node: NodeFacts, sentence: str
) -> None:
    lines = next(iter(found(bank, Dataplane(**asked), facts(node, node)).values()))
    assert any(line.startswith("node node-2: ") and sentence in line for line in lines), lines


@pytest.mark.parametrize(
    ("mode", "node"),
    [("iptables", IPTABLES), ("nftables", replace(IPTABLES, chains=0, nftables=("calico",))), ("ebpf", EBPF)],
)
def test_each_mode_is_told_from_the_others(bank: Any, mode: str, node: NodeFacts) -> None:
    held = [m for m in ("ebpf", "iptables", "nftables") if not found(bank, Dataplane(mode=m), facts(node))["mode"]]
    assert held == [mode]


def test_a_configuration_alone_is_said_to_prove_nothing(bank: Any) -> None:
    lines = found(bank, ALL, facts(replace(IPTABLES, agent_ready=False, complaint="calico_sendmsg_v46: load failed")))
    assert "the configuration says eBPF, which alone proves nothing" in lines["mode"][0]
    assert "calico_sendmsg_v46: load failed" in lines["mode"][1]


def test_a_service_that_was_deleted_is_missed(bank: Any) -> None:
    assert found(bank, Dataplane(services=("gone",)), facts(EBPF))["services"] == ("there is no Service gone any more",)


@pytest.fixture
def lab(bank: Any) -> Lab:
    """Switch, and break nothing."""
    unchanged = Check(connectivity=Connectivity(others="unchanged"))
    return bank.lab(Task(id="switch", title="Switch", points=9, checks=(Check(dataplane=ALL), unchanged)))


@pytest.fixture
def run(bank: Any, fake_cluster: Any, lab: Lab) -> Callable[..., Any]:
    """Grade on a cluster whose nodes show these facts and whose canary ends as given."""

    async def graded(given: DataplaneFacts | Exception, canary: Exception | None = None) -> Report:
        class Cluster(fake_cluster):  # type: ignore[misc] # a class that a fixture gives
            async def dataplane(self) -> DataplaneFacts:
                if isinstance(given, Exception):
                    raise given
                return given

            async def prove_enforcement(self) -> None:
                if canary:
                    raise canary

        return await grade(lab, Cluster(bank.running(bank.objects), lambda _probe: Outcome.OPEN))

    return graded


@pytest.mark.parametrize(
    ("given", "earned"),
    [
        (facts(IPTABLES, IPTABLES), 0),  # untouched: all cells are as they were, and that earns nothing
        (facts(replace(EBPF, kube_proxy="kube-system/kube-proxy-x"), EBPF), 6),
        (facts(EBPF, EBPF), 9),
    ],
)
async def test_requirements_earn_points(run: Callable[..., Any], given: DataplaneFacts, earned: int) -> None:
    report = await run(given)
    assert (report.earned, report.held) == (earned, earned == 9)
    assert report.dataplane == ("ebpf" if earned else "none")


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (replace(IPTABLES, agent_ready=False, complaint="bailing out"), "bailing out"),
        (replace(IPTABLES, kube_proxy=""), "nothing has taken over from it"),  # its rules are there, and grow old
    ],
)
async def test_a_dataplane_that_the_answer_broke_is_a_wrong_answer(
    run: Callable[..., Any], node: NodeFacts, said: str
) -> None:
    report = await run(facts(EBPF, node), NotEnforcedError("the canary got through"))
    assert not report.held
    assert report.earned == 0
    on_nodes, traffic = report.tasks[0].checks
    assert any(said in line for item in on_nodes.unmet for line in item.found)
    assert traffic.messages == ("traffic is not judged: the canary got through",)


@pytest.mark.parametrize(
    ("given", "canary", "raised"),
    [
        (facts(EBPF), NotEnforcedError("the canary got through"), NotEnforcedError),
        (facts(replace(EBPF, agent_ready=False)), ClusterGoneError("no answer"), ClusterGoneError),
        (InfrastructureError("the node could not be looked at"), None, InfrastructureError),
    ],
)
async def test_what_could_not_run_is_never_wrong(
    run: Callable[..., Any], given: DataplaneFacts | Exception, canary: Exception | None, raised: type[Exception]
) -> None:
    with pytest.raises(raised):
        await run(given, canary)


async def test_a_cluster_that_shows_no_nodes_is_named(lab: Lab, bank: Any, fake_cluster: Any) -> None:
    with pytest.raises(NotCapableError, match="judges the nodes' dataplane, which fake does not show"):
        await grade(lab, fake_cluster(bank.running(bank.objects)))
