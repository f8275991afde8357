"""Nodes, pods and hosts on the real kernel, looked at by another netlink library."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError
from labs.sandbox.network.fabric import Fabric
from labs.sandbox.runtime import PodSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from labs.sandbox.network.netns import NetworkNamespace

pytestmark = pytest.mark.netns

PODS = {
    "a": ("node-1", ("10.244.0.2", "fd00:10:244::2")),
    "b": ("node-1", ("10.244.0.3", "fd00:10:244::3")),
    "c": ("node-2", ("10.244.0.66", "fd00:10:244::82")),
    "borrowed": ("node-2", ("10.244.0.9", "fd00:10:244::9")),
}
PORT = 7777


def pod(name: str, node: str, addresses: tuple[str, ...], uid: str = "") -> PodSpec:
    return PodSpec(uid or name, "shop", name, node, addresses, ())


def build(*, ipv6: bool = True) -> Fabric:
    fabric = Fabric(ipv6=ipv6)
    fabric.add_machine("node-1", ("172.18.0.2", "fd00:172:18::2"), is_node=True)
    for name, (node, addresses) in PODS.items():
        if node == "node-2" and node not in fabric.machines:
            fabric.add_machine(node, ("172.18.0.3", "fd00:172:18::3"), is_node=True)
        fabric.attach(pod(name, node, addresses))
    fabric.add_machine("bastion", ("203.0.113.9", "2001:db8::9"), is_node=False)
    return fabric


def places(fabric: Fabric) -> dict[str, tuple[NetworkNamespace, tuple[str, ...]]]:
    found = {name: (fabric.pods[name].namespace, PODS[name][1]) for name in PODS}
    for name, machine in fabric.machines.items():
        found[name] = machine.namespace, tuple(str(a) for a in machine.addresses)
    return found


def exchange(source: NetworkNamespace, destination: NetworkNamespace, address: str) -> str:
    """Send a TCP greeting; the client's address as the server sees it, or the error's name."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with destination.socket(family, socket.SOCK_STREAM) as server, source.socket(family, socket.SOCK_STREAM) as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, PORT))
        server.listen()
        server.settimeout(2)
        client.settimeout(2)
        try:
            client.connect((address, PORT))
            with server.accept()[0] as accepted:
                return str(accepted.getpeername()[0])
        except OSError as problem:
            return type(problem).__name__ if isinstance(problem, TimeoutError) else str(problem.strerror)


def everybody_to_everybody() -> dict[tuple[str, str, int], tuple[str, str]]:
    fabric = build()
    known = places(fabric)
    seen = {}
    for source, (from_namespace, from_addresses) in known.items():
        for destination, (to_namespace, to_addresses) in known.items():
            if source != destination:
                for family in (0, 1):
                    got = exchange(from_namespace, to_namespace, to_addresses[family])
                    seen[source, destination, family] = got, from_addresses[family]
    return seen


def test_everybody_reaches_everybody_under_their_own_address(isolated: Callable[..., Any]) -> None:
    seen = isolated(everybody_to_everybody)
    assert len(seen) == 7 * 6 * 2
    assert {way: got for way, (got, expected) in seen.items() if got != expected} == {}


def routes(namespace: NetworkNamespace) -> set[tuple[str, str, str]]:
    """Destination, gateway and kind, of the main tables; read by pyroute2."""
    pyroute2 = pytest.importorskip("pyroute2")
    found = set()
    with namespace.entered(), pyroute2.IPRoute() as ip:
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in ip.get_routes(family=family, table=254):
                to = f"{message.get_attr('RTA_DST') or 'default'}/{message['dst_len']}"
                kind = {1: "", 6: "blackhole"}.get(message["type"], "other")
                found.add((to, message.get_attr("RTA_GATEWAY") or "", kind))
    return found


def layout() -> dict[str, Any]:
    fabric = build()
    found: dict[str, Any] = {name: routes(namespace) for name, (namespace, _) in places(fabric).items()}
    pyroute2 = pytest.importorskip("pyroute2")
    with fabric.machines["node-1"].namespace.entered(), pyroute2.IPRoute() as ip:
        found["links"] = {(link.get_attr("IFLA_IFNAME")[:4], link.get_attr("IFLA_ADDRESS")) for link in ip.get_links()}
    return found


def test_the_layout_is_as_calico_makes_it(isolate: Callable[..., Any]) -> None:
    found = isolate(layout)
    gateway = "fe80::ecee:eeff:feee:eeee"
    assert {("default/0", "169.254.1.1", ""), ("169.254.1.1/32", "", "")} <= found["a"]
    assert {("default/0", gateway, ""), (f"{gateway}/128", "", "")} <= found["a"]
    own = {("10.244.0.0/26", "", "blackhole"), ("10.244.0.2/32", "", ""), ("fd00:10:244::/122", "", "blackhole")}
    other = {("10.244.0.64/26", "172.18.0.3", ""), ("fd00:10:244::80/122", "fd00:172:18::3", "")}
    assert own | other <= found["node-1"]
    assert ("cali", "ee:ee:ee:ee:ee:ee") in found["links"]


def test_an_address_from_another_nodes_block_has_a_route_of_its_own(isolate: Callable[..., Any]) -> None:
    found = isolate(layout)
    for machine in ("node-1", "bastion"):
        assert {("10.244.0.9/32", "172.18.0.3", ""), ("fd00:10:244::9/128", "fd00:172:18::3", "")} <= found[machine]


def one_that_goes_and_comes_back() -> list[Any]:
    fabric = build()
    known = places(fabric)
    client, server = known["a"][0], PODS["borrowed"]
    before = exchange(client, known["borrowed"][0], server[1][0])
    fabric.detach("borrowed")
    fabric.detach("never was there")
    gone = not any("10.244.0.9" in to for to, _, _ in routes(fabric.machines["node-1"].namespace))
    again = fabric.attach(pod("borrowed", "node-1", server[1], uid="second"))
    return [
        before,
        gone,
        exchange(client, again.namespace, server[1][0]),
        exchange(client, again.namespace, server[1][1]),
    ]


def test_a_pod_that_comes_back_elsewhere_is_reached_there(isolate: Callable[..., Any]) -> None:
    assert isolate(one_that_goes_and_comes_back) == ["10.244.0.2", True, "10.244.0.2", "fd00:10:244::2"]


def first_packets() -> list[int]:
    """Which of the packets arrive that pods send to each other right after they were made."""
    fabric = build()
    arrived = []
    for number in range(12):
        ends = []
        for node in (1, 2):
            address = f"10.244.{node}.{number}"
            ends.append(fabric.attach(pod(f"{node}-{number}", f"node-{node}", (address,))).namespace)
        with ends[1].socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("", PORT))
            server.settimeout(0.5)
            with ends[0].socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"first", (f"10.244.2.{number}", PORT))
            with contextlib.suppress(TimeoutError):
                server.recv(10)
                arrived.append(number)
    return arrived


def test_the_first_packet_of_a_new_pod_is_not_lost(isolate: Callable[..., Any]) -> None:
    assert isolate(first_packets) == list(range(12))


def without_ipv6() -> tuple[Any, ...]:
    fabric = build(ipv6=False)
    known = places(fabric)
    return (
        exchange(known["a"][0], known["c"][0], PODS["c"][1][0]),
        [str(a) for a in fabric.pods["c"].addresses],
        [to for to, _, _ in routes(known["a"][0]) if ":" in to],
    )


def test_without_ipv6_the_rest_works(isolate: Callable[..., Any]) -> None:
    assert isolate(without_ipv6) == ("10.244.0.2", ["10.244.0.66"], [])


def a_pod_of_no_node() -> str:
    fabric = build()
    for node in ("node-9", "bastion"):
        with pytest.raises(InfrastructureError) as caught:
            fabric.attach(pod("lost", node, ("10.244.0.5",)))
    return caught.value.message


def test_a_pod_needs_a_node(isolate: Callable[..., Any]) -> None:
    assert isolate(a_pod_of_no_node) == "pod shop/lost: there is no node 'bastion'"


def one_name_for_two() -> str:
    fabric = build()
    assert fabric.add_machine("bastion", (), is_node=False) is fabric.machines["bastion"]
    with pytest.raises(InfrastructureError) as caught:
        fabric.add_machine("bastion", (), is_node=True)
    return caught.value.message


def test_a_host_is_not_taken_for_a_node(isolate: Callable[..., Any]) -> None:
    assert isolate(one_name_for_two) == "bastion is the name of a node and of an outside host"


def a_link_twice() -> str:
    fabric = build()
    with pytest.raises(InfrastructureError) as caught:
        fabric.attach(pod("a", *PODS["a"]))
    return caught.value.message


def test_a_refusal_is_told_in_words(isolate: Callable[..., Any]) -> None:
    message = isolate(a_link_twice)
    assert message.startswith("make link cali")
    assert message.endswith("File exists")


def service_routes() -> list[bool]:
    fabric = build()

    def has() -> bool:
        return ("10.96.0.7/32", "", "") in routes(fabric.machines["node-2"].namespace)

    found = [has()]
    for wanted in (["10.96.0.7", "fd00:10:96::7"], ["10.96.0.7"], []):
        from ipaddress import ip_address

        fabric.serve([ip_address(a) for a in wanted])
        found.append(has())
    return found


def test_service_addresses_have_routes_on_nodes_while_they_last(isolate: Callable[..., Any]) -> None:
    assert isolate(service_routes) == [False, True, True, False]
