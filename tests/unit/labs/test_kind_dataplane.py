"""What a kind node and its calico-node answer, read: as real ones do, in each mode, and when they do not answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from grader.dataplane import DataplaneFacts, Frontend, NodeFacts
from grader.errors import InfrastructureError, NotCapableError
from grader.ports import Execution
from labs.kind import dataplane, readings
from labs.kube.probing.runner import Finished

if TYPE_CHECKING:
    from collections.abc import Sequence

NAT = """\
10.96.0.1 port 443 proto 6 id 1 count 1 local 0
\t1:0\t 172.18.0.6:6443
10.96.0.10 port 53 proto 17 id 3 count 2 local 0
\t3:0\t 10.244.24.66:53
\t3:1\t 10.244.24.67:53
172.18.0.5 port 30098 proto 6 id 5 count 1 local 1
\t5:0\t 10.244.101.132:80
255.255.255.255 port 30098 proto 6 id 5 count 1 local 1
\t5:0\t 10.244.101.132:80
10.96.9.9 port 9000 proto 132 id 7 count 0 local 0
"""
NO_NAT = "[ERROR][1119] confd/nat.go 58: Failed to dump NAT maps error=stat /sys/fs/bpf/tc/globals/cali_v4_nat_fe3\n"
FILTERS = json.dumps(
    [
        {"protocol": "all", "pref": 49152, "kind": "bpf", "chain": 0},
        {"kind": "bpf", "options": {"handle": "0x1", "bpf_name": "cali_tc_preambl:[536]", "prog": {"id": 536}}},
    ]
)
PANIC = (
    "2026-11-24T17:44:23.730264705Z stdout F 2026-11-24 17:44:23.730 [PANIC][1058] felix/int_dataplane.go 765: "
    "BPFConnTimeLBEnabled but failed to attach connect-time load balancer, bailing out."
)
UNSUPPORTED = (
    "2026-11-24T17:44:20.1Z stderr F 2026-11-24 17:44:20.1 [WARNING][9] felix/driver.go 73: "
    "BPF dataplane mode enabled but not supported by the kernel.  Disabling BPF mode."
)
AGENT, PROXY = "calico-node", "kube-proxy"


def answer(**parts: str) -> str:
    """A node's answer; an iptables node where nothing else is given."""
    usual = {
        "interface": "eth0\n",
        "filters": "",
        "devices": "cali0a94c8faeb8\neth0\nlo\nvxlan.calico\n",
        "maps": "",
        "chains": ":cali-INPUT\n:cali-tw-cali0a94c8faeb8\n:KUBE-SVC-ERIFXISQEP7F7OF4\n:KUBE-SEP-X\n:INPUT\n",
        "tables": "table ip nat\ntable ip filter\n",
        "rules": (
            '-A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD\n'
            '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\n'
            "-A OUTPUT -d 172.18.0.1/32 -j DOCKER_OUTPUT\n"
            "-A CNI-HOSTPORT-SETMARK -j MARK --set-xmark 0x2000/0x2000\n"
            "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n"
        ),
        "now": "2026-11-24T17:44:30\n",
        "log": "",
        "end": "",
    }
    return "".join(f"=== {name}\n{text}" for name, text in (usual | parts).items())


EBPF = answer(
    filters=FILTERS + "\n",
    devices="bpfin.cali\nbpfout.cali\neth0\nlo\n",
    maps="cali_jump3\ncali_v4_nat_fe3\n",
    chains=":cali-INPUT\n",
)


def pod(app: str, *, ready: bool = True, name: str = "", node: str = "kind-worker", **more: Any) -> dict[str, Any]:
    metadata = {"namespace": "kube-system", "name": name or f"{app}-x", "labels": {"k8s-app": app}, **more}
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}, "status": {"conditions": conditions}}


def felix(**spec: Any) -> dict[str, Any]:
    return {"kind": "FelixConfiguration", "metadata": {"name": "default"}, "spec": spec}


NODE = {"kind": "Node", "metadata": {"name": "kind-worker"}}


class Bed:
    """A cluster with one node, which answers with the given texts, one after the other."""

    def __init__(self, answers: Sequence[str], *objects: dict[str, Any], nat: str = NO_NAT, net: str = "") -> None:
        self.answers = list(answers)
        self.objects = (NODE, *objects)
        self.nat, self.net = nat, net
        self.asked: list[tuple[str, ...]] = []

    async def snapshot(self) -> tuple[dict[str, Any], ...]:
        return self.objects

    async def run(self, machine: str, argv: Sequence[str], stdin: bytes, seconds: float) -> Finished:
        assert (machine, tuple(argv), stdin) == ("kind-worker", ("sh", "-s"), readings.SCRIPT)
        assert seconds > 0
        text = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Finished(0, text.encode(), b"")

    async def exec(self, pod: str, argv: Sequence[str], *, stdin: str = "", seconds: float = 30.0) -> Execution:
        del stdin, seconds
        self.asked.append((pod, *argv))
        bpftool = argv[0] == "bpftool"
        return Execution(127 if bpftool and not self.net else 0, self.net if bpftool else self.nat, "")


@pytest.mark.parametrize(
    "rule",
    [
        "-A FORWARD -p tcp -m tcp --dport 80 -j DROP",
        "-A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE",
        "100:\tfrom 10.244.0.5 lookup 100",
        "32766:\tfrom all to 10.0.0.0/8 lookup main",
    ],
)
async def test_rules_of_strangers_are_told_and_those_of_the_system_are_not(rule: str) -> None:
    usual = answer().partition("=== rules\n")[2].partition("=== now")[0]
    told = await dataplane.glance(["kind-worker"], Bed([answer(rules=usual + rule + "\n")]))
    assert [node.foreign for node in told] == [(rule,)]
    assert (await dataplane.glance(["kind-worker"], Bed([answer()])))[0].foreign == ()


async def facts(bed: Bed, seconds: float = 0.0) -> DataplaneFacts:
    return await dataplane.look(bed, bed, seconds)


async def test_a_node_in_iptables_mode() -> None:
    found = await facts(Bed([answer()], pod(AGENT), pod(PROXY), felix()))
    assert found == DataplaneFacts(
        (
            NodeFacts(
                "kind-worker",
                "eth0",
                chains=2,
                service_chains=1,
                kube_proxy="kube-system/kube-proxy-x",
                kube_proxy_ready=True,
                agent="kube-system/calico-node-x",
                agent_ready=True,
            ),
        ),
        "iptables",
    )


async def test_a_node_in_ebpf_mode() -> None:
    bed = Bed([EBPF], pod(AGENT), felix(bpfEnabled=True), nat=NAT)
    (node,) = (await facts(bed)).nodes
    assert node.programs == ("cali_tc_preambl",)
    assert node.maps == ("cali_jump3", "cali_v4_nat_fe3")
    assert node.devices == ("bpfin.cali", "bpfout.cali")
    assert (node.chains, node.service_chains, node.kube_proxy, node.agent_ready) == (1, 0, "", True)
    assert node.frontends == (
        Frontend("10.96.0.1", 443, "TCP", ("172.18.0.6:6443",)),
        Frontend("10.96.0.10", 53, "UDP", ("10.244.24.66:53", "10.244.24.67:53")),
        Frontend("172.18.0.5", 30098, "TCP", ("10.244.101.132:80",)),
        Frontend("255.255.255.255", 30098, "TCP", ("10.244.101.132:80",)),
        Frontend("10.96.9.9", 9000, "SCTP"),
    )
    assert bed.asked[0] == ("kube-system/calico-node-x", "calico-node", "-bpf", "nat", "dump")


@pytest.mark.parametrize(
    ("net", "programs"),
    [
        ("tc:\neth0(2) tcx/ingress cali_tc_preambl prog_id 12 link_id 5\n", ("cali_tc_preambl",)),
        ("tc:\neth0(55) clsact/ingress cali_tc_preambl:[3977] id 3977\n", ("cali_tc_preambl",)),
        ("tc:\neth0(55) clsact/egress cali_tc_preambl:[3977] id 3977\n", ()),
        ("tc:\nlo(1) tcx/ingress cali_tc_preambl prog_id 12\n", ()),
        ("", ()),
    ],
)
async def test_links_that_tc_does_not_show_are_read_from_bpftool(net: str, programs: tuple[str, ...]) -> None:
    (node,) = (await facts(Bed([answer()], pod(AGENT), net=net))).nodes
    assert node.programs == programs


async def test_an_agent_that_is_not_ready_is_not_asked() -> None:
    """What its tool would show are maps that a working agent left."""
    bed = Bed([answer(log=f"{PANIC}\n")], pod(AGENT, ready=False), felix(bpfEnabled=True), nat=NAT)
    (node,) = (await facts(bed)).nodes
    assert (node.agent_ready, node.frontends, bed.asked) == (False, (), [])
    assert node.complaint == "BPFConnTimeLBEnabled but failed to attach connect-time load balancer, bailing out."


@pytest.mark.parametrize(
    ("log", "now", "said"),
    [
        (PANIC, "2026-11-24T17:44:40", "BPFConnTimeLBEnabled but failed"),
        (PANIC, "2026-11-24T17:46:00", ""),  # it works since
        (UNSUPPORTED, "2026-11-24T17:44:21", "BPF dataplane mode enabled but not supported by the kernel"),
        (f"{UNSUPPORTED}\n{PANIC}\n", "2026-11-24T17:44:24", "BPFConnTimeLBEnabled"),
        ("something else\n", "2026-11-24T17:44:24", ""),
        ("", "2026-11-24T17:44:24", ""),
    ],
)
def test_only_fresh_complaints_count(log: str, now: str, said: str) -> None:
    found = readings.complaint(log, now)
    assert found.startswith(said)
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    ("objects", "mode"),
    [
        ((), ""),
        ((felix(),), "iptables"),
        ((felix(bpfEnabled=True),), "ebpf"),
        ((felix(nftablesMode="Enabled"),), "nftables"),
        (({"kind": "Installation", "metadata": {}, "spec": {"calicoNetwork": {"linuxDataplane": "BPF"}}},), "ebpf"),
        (({"kind": "Installation", "metadata": {}, "spec": {}},), "iptables"),
        (
            (
                felix(bpfEnabled=False),
                {
                    "kind": "DaemonSet",
                    "metadata": {"name": "calico-node"},
                    "spec": {
                        "template": {"spec": {"containers": [{"env": [{"name": "FELIX_BPFENABLED", "value": "true"}]}]}}
                    },
                },
            ),
            "ebpf",
        ),
    ],
)
def test_what_is_configured(objects: tuple[dict[str, Any], ...], mode: str) -> None:
    assert dataplane.configured(objects) == mode


async def test_of_an_old_and_a_new_agent_the_ready_one_counts() -> None:
    old = pod(AGENT, name="old", deletionTimestamp="2026-11-24T17:44:23Z")
    done = {**pod(AGENT, name="done"), "status": {"phase": "Failed"}}
    (node,) = (await facts(Bed([answer()], old, pod(AGENT, name="new"), done))).nodes
    assert (node.agent, node.agent_ready) == ("kube-system/new", True)


async def test_a_switch_that_is_under_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataplane, "_AGAIN_SECONDS", 0.0)
    bed = Bed([answer(), answer(), EBPF], pod(AGENT), felix(bpfEnabled=True), nat=NAT)
    (node,) = (await facts(bed, seconds=30)).nodes
    assert node.programs


IPTABLES_NODE = NodeFacts("n", "eth0", chains=9, service_chains=3, kube_proxy="p", agent="a", agent_ready=True)
SERVED = (Frontend("10.96.0.1", 443, "TCP"),)
EBPF_NODE = NodeFacts("n", "eth0", ("cali_tc_preambl",), frontends=SERVED, agent="a", agent_ready=True)
CRASHING = NodeFacts("n", "eth0", chains=9, agent="a", complaint="bailing out")
STARTING = NodeFacts("n", "eth0", chains=9, agent="a")


@pytest.mark.parametrize(
    ("mode", "nodes", "steady"),
    [
        ("iptables", (IPTABLES_NODE, IPTABLES_NODE), True),
        ("ebpf", (EBPF_NODE, EBPF_NODE), True),
        ("ebpf", (EBPF_NODE, IPTABLES_NODE), False),
        ("iptables", (EBPF_NODE,), False),
        ("ebpf", (CRASHING, EBPF_NODE), True),  # it will not get any further
        ("ebpf", (STARTING,), False),
        ("ebpf", (NodeFacts("n", "eth0"),), True),  # there is no agent to wait for
    ],
)
def test_steady_is_when_nothing_more_will_come(mode: str, nodes: tuple[NodeFacts, ...], *, steady: bool) -> None:
    assert dataplane.steady(DataplaneFacts(nodes, mode)) is steady


@pytest.mark.parametrize(("nat", "able"), [("from_wep_fib_no_log_co-re.o\nto_wep.o\n", True), ("", False)])
async def test_an_image_without_programs_is_said_before_a_lab_begins(nat: str, *, able: bool) -> None:
    agent = pod(AGENT)
    agent["spec"]["containers"] = [{"image": "calico/node:small"}]
    bed = Bed([answer()], agent, nat=nat)
    if able:
        await dataplane.require_programs(bed)
    else:
        with pytest.raises(NotCapableError, match="the image calico/node:small has no eBPF programs"):
            await dataplane.require_programs(bed)
    assert bed.asked == [("kube-system/calico-node-x", "ls", "/usr/lib/calico/bpf")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "did not tell what carries its traffic"),
        (answer().replace("=== maps\n", ""), "did not tell"),
        (answer(filters="filter protocol all pref 49152 bpf\n"), "the filters of node kind-worker cannot be read"),
        (answer(filters='{"a": 1}\n'), "cannot be read"),
    ],
)
async def test_a_node_that_does_not_answer_is_no_wrong_answer(text: str, said: str) -> None:
    with pytest.raises(InfrastructureError, match=said):
        await facts(Bed([text], pod(AGENT)))
