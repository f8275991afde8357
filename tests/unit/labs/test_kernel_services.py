"""Services, flows that outlive a policy, pods that come and go: the whole runtime on the real kernel."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import socket
import struct
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError, NotEnforcedError
from grader.ports import Probe
from labs.sandbox import canary
from labs.sandbox.dataplane.nftables.compile import Placement
from labs.sandbox.dataplane.nftables.dataplane import Dataplane
from labs.sandbox.dataplane.nftables.ruleset import Accept, Chain, Jump, Rule, Table
from labs.sandbox.kernel import KernelRuntime
from labs.sandbox.network.netns import NetworkNamespace
from labs.sandbox.runtime import ContainerSpec, HostSpec, NodeSpec, PodSpec, ServedPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from grader.ports import Manifest

pytestmark = pytest.mark.netns

PORTS = (ServedPort(80, "TCP", "http"), ServedPort(53, "UDP", "dns"), ServedPort(7000, "SCTP", "sig"))
DENY_ALL = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"namespace": "shop", "name": "deny"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}
PODS = {
    "client": ("node-1", "10.244.0.2", "fd00:10:244::2"),
    "web-1": ("node-1", "10.244.0.3", "fd00:10:244::3"),
    "web-2": ("node-2", "10.244.0.66", "fd00:10:244::82"),
}


def spec(name: str, uid: str = "") -> PodSpec:
    node, *ips = PODS[name]
    return PodSpec(uid or name, "shop", name, node, tuple(ips), (ContainerSpec("c", "any", PORTS),))


def manifest(name: str, *, ready: bool = True) -> Manifest:
    node, *ips = PODS[name]
    ports = [{"containerPort": p.number, "protocol": p.protocol, "name": p.name} for p in PORTS]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "shop", "name": name, "labels": {"app": name.partition("-")[0]}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "any", "ports": ports}]},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": ip} for ip in ips],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


def service(**more: Any) -> Manifest:
    ports = [
        {"name": "http", "port": 8080, "targetPort": "http", "nodePort": 30080},
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "sig", "port": 7000, "protocol": "SCTP"},
    ]
    wanted = {"selector": {"app": "web"}, "ports": ports, **more}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"type": "NodePort", "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00:10:96::7"], **wanted},
    }


def pods() -> list[Manifest]:
    return [manifest(name) for name in PODS]


def build() -> KernelRuntime:
    runtime = KernelRuntime(asyncio.get_running_loop())
    for number in (1, 2):
        runtime.add_node(NodeSpec(f"node-{number}", (f"172.18.0.{number + 1}", f"fd00:172:18::{number + 1}")))
    runtime.add_host(HostSpec("bastion", ("203.0.113.9", "2001:db8::9")))
    for name in PODS:
        runtime.start_pod(spec(name))
    return runtime


async def seen(runtime: KernelRuntime, *probes: Probe) -> list[tuple[str, str]]:
    return [(str(one.outcome), one.answered_by or one.detail) for one in await runtime.probe(probes)]


def both(source: str, destination: str, port: int, protocol: str = "TCP") -> list[Probe]:
    return [Probe(source, destination, port, protocol, family) for family in (4, 6)]


async def through_the_service(objects: list[Manifest], probes: list[Probe]) -> list[tuple[str, str]]:
    runtime = build()
    runtime.program(objects)
    try:
        return await seen(runtime, *probes)
    finally:
        runtime.close()


FROM = ("shop/client", "shop/web-2", "node:node-1", "node:node-2")


@pytest.mark.parametrize(("port", "protocol"), [(8080, "TCP"), (53, "UDP"), (7000, "SCTP")])
def test_a_cluster_ip_leads_to_the_endpoints(isolated: Callable[..., Any], port: int, protocol: str) -> None:
    probes = [probe for source in FROM for probe in both(source, "service:shop/web", port, protocol) * 8]
    found = isolated(through_the_service, [*pods(), service()], probes)
    assert {outcome for outcome, _ in found} == {"open"}, found
    assert {who for _, who in found} <= {"shop/web-1", "shop/web-2"}
    if protocol != "SCTP":
        for start in range(0, len(found), 16):
            assert len({who for _, who in found[start : start + 16]}) == 2, "all went to one of two endpoints"


def test_a_pod_reaches_itself_through_its_service(isolate: Callable[..., Any]) -> None:
    probes = both("shop/web-1", "service:shop/web", 8080)
    found = isolate(through_the_service, [manifest("web-1"), manifest("client"), service()], probes)
    assert found == [("open", "shop/web-1")] * 2


def test_a_node_port_leads_to_the_endpoints_from_outside(isolate: Callable[..., Any]) -> None:
    probes = [probe for node in ("node-1", "node-2") for probe in both("host:bastion", f"node:{node}", 30080) * 6]
    found = isolate(through_the_service, [*pods(), service()], probes)
    assert {outcome for outcome, _ in found} == {"open"}, found
    assert {who for _, who in found} == {"shop/web-1", "shop/web-2"}


@pytest.mark.parametrize(
    ("port", "more"),
    [
        pytest.param(8080, {"selector": {"app": "nobody"}}, id="no endpoint"),
        pytest.param(81, {}, id="no such port"),
    ],
)
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_what_no_endpoint_takes_is_refused(
    isolate: Callable[..., Any], port: int, protocol: str, more: dict[str, Any]
) -> None:
    probes = [probe for source in FROM for probe in both(source, "service:shop/web", port, protocol)]
    found = isolate(through_the_service, [*pods(), service(**more)], probes)
    assert {outcome for outcome, _ in found} == {"refused"}, found


def test_cluster_ips_end_at_the_cluster(isolate: Callable[..., Any]) -> None:
    probes = [Probe("host:bastion", "ip:10.96.0.7", 8080), Probe("shop/client", "ip:10.96.0.9", 8080)]
    found = isolate(through_the_service, [*pods(), service()], probes)
    assert {outcome for outcome, _ in found} == {"unreachable"}, found


def test_a_pod_that_is_not_ready_gets_nothing(isolate: Callable[..., Any]) -> None:
    objects = [manifest("client"), manifest("web-1", ready=False), manifest("web-2"), service()]
    found = isolate(through_the_service, objects, both("shop/client", "service:shop/web", 8080) * 8)
    assert set(found) == {("open", "shop/web-2")}


def endpoint_slice(version: int, *endpoints: dict[str, Any]) -> Manifest:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": "shop",
            "name": f"web-{version}",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": f"IPv{version}",
        "endpoints": list(endpoints),
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    }


def test_endpoint_slices_count_more_than_selectors(isolate: Callable[..., Any]) -> None:
    slices = [
        endpoint_slice(
            4,
            {"addresses": ["10.244.0.3"], "conditions": {"ready": False}},
            {"addresses": ["10.244.0.66"], "conditions": {}},
        ),
        endpoint_slice(6, {"addresses": ["fd00:10:244::3"]}),
    ]
    found = isolate(
        through_the_service, [*pods(), service(), *slices], both("shop/client", "service:shop/web", 8080) * 6
    )
    assert found == [("open", "shop/web-2"), ("open", "shop/web-1")] * 6


async def under_policies(policies: Iterable[Manifest], probes: list[Probe]) -> list[tuple[str, str]]:
    return await through_the_service([*pods(), service(), *policies], probes)


def policy(name: str, **wanted: Any) -> Manifest:
    return {**DENY_ALL, "metadata": {"namespace": "shop", "name": name}, "spec": wanted}


def test_policy_is_judged_after_the_service_is_translated(isolate: Callable[..., Any]) -> None:
    to_pods = policy("pods", podSelector={}, policyTypes=["Egress"], egress=[{"ports": [{"port": 80}]}])
    found = isolate(under_policies, [to_pods], both("shop/client", "service:shop/web", 8080))
    assert {outcome for outcome, _ in found} == {"open"}
    to_service = policy(
        "service", podSelector={}, policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "10.96.0.0/12"}}]}]
    )
    found = isolate(under_policies, [to_service], both("shop/client", "service:shop/web", 8080))
    assert {outcome for outcome, _ in found} == {"dropped"}


def test_hairpin_is_judged_by_the_pods_own_address(isolate: Callable[..., Any]) -> None:
    own = policy("own", podSelector={}, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}])
    objects = [manifest("web-1"), manifest("client"), service(), own]
    probes = [*both("shop/web-1", "service:shop/web", 8080), *both("shop/client", "service:shop/web", 8080)]
    found = isolate(through_the_service, objects, probes)
    assert [outcome for outcome, _ in found] == ["open", "open", "dropped", "dropped"]


async def a_flow_that_was_there_before() -> tuple[bytes, list[str], list[str]]:
    runtime = build()
    runtime.program(pods())
    fabric = runtime._fabric
    server = fabric.pods["web-2"].namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    client = fabric.pods["client"].namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    for one in (server, client):
        one.settimeout(5)
    server.bind(("", 9000))
    server.listen()
    client.connect((PODS["web-2"][1], 9000))
    accepted = server.accept()[0]
    accepted.settimeout(5)
    runtime.program([*pods(), DENY_ALL])
    client.sendall(b"still there")
    got = accepted.recv(100)
    new = [outcome for outcome, _ in await seen(runtime, *both("shop/client", "shop/web-2", 80))]
    runtime.program(pods())
    opened = [outcome for outcome, _ in await seen(runtime, *both("shop/client", "shop/web-2", 80))]
    return got, new, opened


def test_a_new_policy_stops_new_flows_and_not_old_ones(isolated: Callable[..., Any]) -> None:
    assert isolated(a_flow_that_was_there_before) == (b"still there", ["dropped"] * 2, ["open"] * 2)


async def pods_that_come_and_go() -> dict[str, list[str]]:
    runtime = build()
    found = {}

    async def ask(when: str) -> None:
        found[when] = [o for o, _ in await seen(runtime, *both("shop/client", "shop/web-2", 80))]

    await ask("before it is programmed")
    runtime.program(pods())
    await ask("programmed")
    runtime.stop_pod("web-2")
    runtime.stop_pod("web-2")
    runtime.start_pod(spec("web-2", uid="another"))
    await ask("a new one of the same name")
    runtime.program(pods())
    await ask("programmed again")
    return found


def test_a_new_pod_is_cut_off_until_it_is_programmed(isolate: Callable[..., Any]) -> None:
    assert isolate(pods_that_come_and_go) == {
        "before it is programmed": ["dropped"] * 2,
        "programmed": ["open"] * 2,
        "a new one of the same name": ["dropped"] * 2,
        "programmed again": ["open"] * 2,
    }


async def generations() -> list[int]:
    runtime = build()
    found = []
    for objects in (
        pods(),
        pods(),
        [*pods(), DENY_ALL],
        [*pods(), DENY_ALL, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}],
        pods(),
    ):
        runtime.program(objects)
        found.append(runtime._dataplane.generation)
    return found


def test_rules_are_written_only_when_they_change(isolate: Callable[..., Any]) -> None:
    assert isolate(generations) == [1, 1, 2, 2, 3]


async def a_canary(breach: bool) -> str:
    runtime = build()
    runtime.program([*pods(), DENY_ALL])
    await runtime.prove_enforcement()
    if not breach:
        runtime.program([*pods()])
        await runtime.prove_enforcement()
        return "proven"
    node = runtime._dataplane._nodes["node-2"]
    node.put(Table("policy", ()))
    runtime._dataplane.generation += 1
    with pytest.raises(NotEnforcedError) as caught:
        await runtime.prove_enforcement()
    return caught.value.message


def test_the_canary_lives_where_policy_is_enforced(isolated: Callable[..., Any]) -> None:
    assert isolated(a_canary, False) == "proven"


def test_the_canary_tells_when_a_node_enforces_nothing(isolate: Callable[..., Any]) -> None:
    message = isolate(a_canary, True)
    assert "the canary's packet to .canary/closed-node-2 (IPv4) was open, and should be dropped" in message


def test_the_canary_blames_the_system_for_what_cannot_be_probed() -> None:
    from grader.ports import Observation, Outcome

    specs = canary.pods(["node-1"])
    probes = canary.probes(specs, [4])
    errors = [Observation(probe, Outcome.ERROR, detail="socket: Too many open files") for probe in probes]
    with pytest.raises(InfrastructureError, match="Too many open files") as caught:
        canary.judge(specs, errors)
    assert not isinstance(caught.value, NotEnforcedError)


async def a_table_that_the_kernel_refuses() -> tuple[str, list[str]]:
    runtime = build()
    runtime.program([*pods(), DENY_ALL])
    node = runtime._dataplane._nodes["node-2"]
    broken = Table("policy", (Chain("one", (Rule((), Accept()), Rule((), Jump("nowhere"), "from shop/x rule 1"))),))
    with pytest.raises(InfrastructureError) as caught:
        node.put(broken)
    return caught.value.message, [o for o, _ in await seen(runtime, *both("shop/client", "shop/web-2", 80))]


def test_a_refused_table_names_its_rule_and_leaves_the_old_one(isolate: Callable[..., Any]) -> None:
    message, outcomes = isolate(a_table_that_the_kernel_refuses)
    assert message == "nftables on node-2: rule of one (from shop/x rule 1): No such file or directory"
    assert outcomes == ["dropped"] * 2


async def a_broken_object() -> str:
    runtime = build()
    with pytest.raises(InfrastructureError) as caught:
        runtime.program(
            [{**DENY_ALL, "spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "x"}}]}]}}]
        )
    return caught.value.message


def test_an_object_that_cannot_be_read_is_named(isolate: Callable[..., Any]) -> None:
    assert "deny" in isolate(a_broken_object)


def rules_in_the_kernel() -> list[tuple[str, str]]:
    """Chains and comments of the policy rules of a node, read by pyroute2."""
    nftables = pytest.importorskip("pyroute2.nftables.main")
    dataplane, node = Dataplane(), NetworkNamespace.create()
    dataplane.add_node("node-1", node)
    placements = {"shop/web-1": Placement("node-1", "caliweb", (ip_address("10.244.0.3"),))}
    dataplane.program([*pods(), policy("front", podSelector={}, ingress=[{"ports": [{"port": 80}]}])], placements)
    with node.entered(), nftables.NFTables(nfgen_family=1) as nft:
        rules = [rule for rule in nft.get_rules() if rule.get_attr("NFTA_RULE_TABLE") == "policy"]
        return [(rule.get_attr("NFTA_RULE_CHAIN"), rule.get_attr("NFTA_RULE_USERDATA")) for rule in rules]


def test_the_kernels_rules_explain_themselves(isolate: Callable[..., Any]) -> None:
    found = isolate(rules_in_the_kernel)
    assert ("ingress/shop/front", "NetworkPolicy shop/front ingress rule 1") in found
    assert ("pod-ingress/shop/web-1", "ingress of shop/web-1 isolated by shop/front: nothing allows it") in found
    assert ("egress-forward", "shop/web-1: no policy isolates it for egress") in found
    assert all(comment for _, comment in found)


async def on_the_host_network() -> list[tuple[str, str]]:
    runtime = build()
    agent = replace(spec("web-1", "agent"), name="agent", addresses=("172.18.0.2", "fd00:172:18::2"), host_network=True)
    runtime.start_pod(agent)
    hidden = manifest("web-1")
    hidden["metadata"]["name"] = "agent"
    hidden["spec"]["hostNetwork"] = True
    closed = policy("web", podSelector={"matchLabels": {"app": "web"}}, policyTypes=["Ingress", "Egress"])
    runtime.program([*pods(), hidden, closed])
    probes = [Probe("shop/agent", "shop/web-1", 80), Probe("shop/agent", "shop/web-2", 80)]
    found = await seen(runtime, *probes, Probe("shop/client", "shop/agent", 80), Probe("shop/web-1", "shop/agent", 80))
    runtime.stop_pod("agent")
    return [*found, *await seen(runtime, Probe("shop/client", "node:node-1", 80))]


def test_a_pod_of_the_host_network_is_its_node(isolate: Callable[..., Any]) -> None:
    outcomes = [outcome for outcome, _ in isolate(on_the_host_network)]
    # Its own node's pod, a pod of another node, what reaches it (no policy selects it), and web-1's own egress.
    assert outcomes == ["open", "dropped", "open", "dropped", "refused"]


def datagram(source: str, destination: str, port: int) -> bytes:
    """A UDP packet with its IP header, from any source; without the checksum, which IPv4 may leave out."""
    text = b"forged"
    udp = struct.pack("!HHHH", 4000, port, 8 + len(text), 0) + text
    if ":" not in source:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
        return head + ip_address(source).packed + ip_address(destination).packed + udp
    ends = ip_address(source).packed + ip_address(destination).packed
    summed = ends + struct.pack("!IBBBB", len(udp), 0, 0, 0, socket.IPPROTO_UDP) + udp
    total = sum(struct.unpack(f"!{len(summed) // 2}H", summed))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    udp = udp[:6] + struct.pack("!H", ~total & 0xFFFF) + udp[8:]
    return struct.pack("!IHBB", 6 << 28, len(udp), socket.IPPROTO_UDP, 64) + ends + udp


async def forged_sources(version: int) -> list[str]:
    """Send under the own address and under another pod's, then under the own one again; the senders that were seen."""
    runtime = build()
    runtime.program(pods())
    links = runtime._fabric.pods
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    own, other, to = (PODS[name][1 if version == 4 else 2] for name in ("client", "web-1", "web-2"))
    server = links["web-2"].namespace.socket(family, socket.SOCK_DGRAM)
    server.settimeout(5)
    server.bind(("", 9000))
    client = links["client"].namespace.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for source in (own, other, own):
        client.sendto(datagram(source, to, 9000), (to, 0))
    return [server.recvfrom(100)[1][0] for _ in range(2)]


@pytest.mark.parametrize("version", [4, 6])
def test_a_pod_cannot_send_under_anothers_address(isolate: Callable[..., Any], version: int) -> None:
    own = PODS["client"][1 if version == 4 else 2]
    assert isolate(forged_sources, version) == [own, own]


async def with_few_descriptors() -> tuple[int, int]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    build()
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(isolate: Callable[..., Any]) -> None:
    soft, hard = isolate(with_few_descriptors)
    assert soft in {hard, 65536}


def make_settings_read_only() -> None:
    """As containers have them."""
    libc = ctypes.CDLL(None, use_errno=True)
    bind, remount, read_only = 0x1000, 0x20, 0x1
    path = b"/proc/sys"
    assert libc.mount(path, path, None, bind, None) == 0, os.strerror(ctypes.get_errno())
    kept = 0x2 | 0x4 | 0x8  # nosuid, nodev, noexec: a user namespace may not take them away
    flags = bind | remount | read_only | kept
    assert libc.mount(None, path, None, flags, None) == 0, os.strerror(ctypes.get_errno())


async def with_read_only_settings() -> tuple[tuple[int, ...], list[tuple[str, str]]]:
    make_settings_read_only()
    runtime = build()
    runtime.program(pods())
    await runtime.prove_enforcement()
    ways = [Probe("shop/client", "shop/web-2", 80), Probe("host:bastion", "shop/web-1", 80)]
    return runtime.capabilities.families, await seen(runtime, *ways)


def test_where_settings_are_read_only_ipv4_works(isolated: Callable[..., Any]) -> None:
    families, outcomes = isolated(with_read_only_settings)
    assert families == (4,)
    assert outcomes == [("open", "shop/web-2"), ("open", "shop/web-1")]


async def commands() -> tuple[str, list[str], list[str]]:
    runtime = build()
    runtime.program(pods())
    session = await runtime.exec("client", "c", ["sh", "-c", "cat /etc/resolv.conf /etc/hosts"])
    output = b"".join([data async for _, data in session.output()])
    await session.wait()
    problems = []
    for uid, container in (("nobody", ""), ("client", "sidecar")):
        with pytest.raises(InfrastructureError) as caught:
            await runtime.exec(uid, container, ["true"])
        problems.append(caught.value.message)
    endless = await runtime.exec("client", "", ["sleep", "1000"])
    runtime.stop_pod("client")
    return output.decode(), problems, [str(await endless.wait())]


def test_commands_find_the_cluster_around_them(isolated: Callable[..., Any]) -> None:
    output, problems, ended = isolated(commands)
    assert output.startswith("search shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n")
    assert "10.244.0.2\tclient\n" in output
    assert problems == ["the pod is not running", "container sidecar is not valid for pod client"]
    assert ended == ["137"]
