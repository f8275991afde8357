"""Required traffic to policies: the notation, selectors, and the law that exactly the required traffic passes."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from content.errors import BrokenContentError, UsageError
from grader.kube.dump import dump_policy
from grader.kube.model import LabelSelector
from grader.kube.parse import read_objects
from grader.policy.model import Endpoint
from grader.reachability.verdict import Flow
from grader.reachability.world import World
from grader.synthesize.flows import Required, read_flows
from grader.synthesize.policies import synthesize, verify
from grader.synthesize.privilege import Amount, privilege
from grader.synthesize.selectors import exact_selector

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = Path("flows.txt")


def read(text: str, world: World) -> list[tuple[Any, ...]]:
    return [
        (f.from_range or f.sources, f.to_range or f.destinations, f.port, f.protocol, f.line)
        for f in read_flows(text, world, FILE)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web.shop -> db:5432", [(("shop/web",), ("shop/db",), 5432, "TCP", 1)]),
        ("# first\n\nweb.shop -> db:53/udp # why\n", [(("shop/web",), ("shop/db",), 53, "UDP", 3)]),
        (
            "web.shop, new -> db:1",
            [(("shop/web",), ("shop/db",), 1, "TCP", 1), (("shop/new",), ("shop/db",), 1, "TCP", 1)],
        ),
        ("192.0.2.7/24 -> db:1", [(ip_network("192.0.2.0/24"), ("shop/db",), 1, "TCP", 1)]),
        ("192.0.2.7 -> db:1", [(ip_network("192.0.2.7/32"), ("shop/db",), 1, "TCP", 1)]),
        ("db -> 192.0.2.0/24:443/udp", [(("shop/db",), ip_network("192.0.2.0/24"), 443, "UDP", 1)]),
        ("db -> 192.0.2.7:443", [(("shop/db",), ip_network("192.0.2.7/32"), 443, "TCP", 1)]),
        ("db -> 2001:db8::/64:443", [(("shop/db",), ip_network("2001:db8::/64"), 443, "TCP", 1)]),
        # a Service means its pods at their own port; a target without a port, all that it declares
        ("db -> service:shop/web:80", [(("shop/db",), ("shop/web",), 8080, "TCP", 1)]),
        (
            "new -> db",
            [(("shop/new",), ("shop/db",), 5432, "TCP", 1), (("shop/new",), ("shop/db",), 8081, "TCP", 1)],
        ),
    ],
)
def test_the_notation(shop: Callable[..., World], text: str, expected: list[tuple[Any, ...]]) -> None:
    assert read(text, shop()) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("web.shop", "flows.txt:1: this is no arrow"),
        ("\nweb.shop -> nothing:80", "flows.txt:2: there is no pod, workload or Service nothing"),
        ("192.0.2.0/24 -> 192.0.2.7:1", "both ends are outside"),
        ("web.shop -> db:icmp", "says nothing about ping"),
        ("web.shop -> 192.0.2.0/24", "has no port"),
        ("web.shop -> guest:70000", "70000 is no port"),
        ("agent -> db:1", "agent uses its node's network"),
        ("service:shop/web -> db:1", "is a Service, which sends nothing"),
        ("web.shop -> service:shop/nobody:80", "leads nowhere"),
    ],
)
def test_lines_that_are_refused(shop: Callable[..., World], text: str, words: str) -> None:
    with pytest.raises(BrokenContentError) as caught:
        read_flows(text, shop(), FILE)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "others", "expected"),
    [
        ([{"app": "a"}], [{"app": "b"}], "app=a"),
        ([{"app": "a"}], [], "app=a"),
        ([{}], [], ""),
        ([{"pod-template-hash": "1", "app": "a"}], [{"app": "b"}], "app=a"),
        ([{"app": "a", "tier": "x"}], [{"app": "a", "tier": "y"}], "tier=x"),
        ([{"app": "a", "tier": "x"}], [{"app": "a", "tier": "y"}, {"app": "b", "tier": "x"}], "app=a,tier=x"),
        ([{"app": "a"}, {"app": "b"}], [{"app": "c"}], "app in (a,b)"),
        ([{"app": "a"}], [{"app": "a", "canary": "yes"}], "app=a,!canary"),
        ([{}], [{"app": "b"}], "!app"),
        ([{"app": "a"}], [{"app": "a"}], None),
        ([{"app": "a"}], [{"app": "a", "pod-template-hash": "1"}], None),
        ([{"x": "1"}, {"x": "2"}], [{"x": "3", "y": "1"}], "x in (1,2)"),
    ],
)
def test_selectors(wanted: list[dict[str, str]], others: list[dict[str, str]], expected: str | None) -> None:
    def ends(labels: list[dict[str, str]]) -> list[Endpoint]:
        return [Endpoint(str(number), labels=each) for number, each in enumerate(labels)]

    found = exact_selector(ends(wanted), ends(others))
    assert (None if found is None else str(found)) == expected


def test_the_policies_of_a_shop(shop: Callable[..., World]) -> None:
    world = shop("{podSelector: {}, ingress: [{}]}")
    flows = read_flows("guest -> web.shop:8080\nweb.shop -> db:5432\n192.0.2.0/24 -> web.shop:8080", world, FILE)
    policies = synthesize(world, flows)
    assert [f"{each.namespace}/{each.name}" for each in policies] == [
        "lobby/default-deny",
        "lobby/guest",
        "shop/default-deny",
        "shop/db",
        "shop/web",
    ]
    assert verify(world, flows, policies).changes == ()
    web = dump_policy(policies[-1])["spec"]
    assert web["podSelector"] == {"matchLabels": {"app": "web"}}
    assert web["ingress"] == [
        {
            "from": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "lobby"}},
                    "podSelector": {"matchLabels": {"app": "web"}},
                },
                {"ipBlock": {"cidr": "192.0.2.0/24"}},
            ],
            "ports": [{"protocol": "TCP", "port": 8080}],
        }
    ]


def test_namespaces_that_are_left_alone(shop: Callable[..., World]) -> None:
    world = shop()
    flows = read_flows("guest -> web.shop:8080", world, FILE)
    policies = synthesize(world, flows, ["lobby"])
    assert {each.namespace for each in policies} == {"shop"}
    assert verify(world, flows, policies, ["lobby"]).changes == ()
    assert verify(world, flows, policies).opened != ()


def test_ranges_that_hold_pods() -> None:
    """One may go anywhere, the other hears from anywhere: that must not let one reach the other."""

    def pods(**addresses: str) -> World:
        return World(
            read_objects(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": name, "namespace": "a", "labels": {"app": name}},
                    "status": {"podIP": address} if address else {},
                }
                for name, address in addresses.items()
            )
        )

    text = "one -> 0.0.0.0/0:80\n0.0.0.0/0 -> two:80"
    known, unknown = pods(one="10.0.0.1", two="10.0.0.2"), pods(one="", two="")
    flows = read_flows(text, known, FILE)
    policies = synthesize(known, flows)
    assert verify(known, flows, policies).changes == ()
    assert [str(each) for each in policies[-1].ingress[0].peers[0].block.excepted] == ["10.0.0.1/32"]  # type: ignore[union-attr]
    flows = read_flows(text, unknown, FILE)
    assert verify(unknown, flows, synthesize(unknown, flows)).opened != ()
    apart = [ip_network("10.244.0.0/16")]
    assert verify(unknown, flows, synthesize(unknown, flows, (), apart), (), apart).changes == ()


def test_pods_that_labels_cannot_tell_apart() -> None:
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a", "labels": {"app": "x"}}}
        for name in ("one", "two")
    ]
    world = World(read_objects(pods))
    with pytest.raises(UsageError, match="labels cannot tell a/one from a/two"):
        synthesize(world, read_flows("one -> two:80", world, FILE))


def test_privilege_counts(shop: Callable[..., World]) -> None:
    world = shop(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}], ports: [{port: 5432}]}]}"
    )
    found = privilege(world, read_flows("web.shop -> db:5432\nguest -> db:8081", world, FILE))
    assert found.required == Amount(2, 2)
    assert found.missing == Amount(1, 1)
    # Everything else but what goes to the database is open, on every port of three protocols.
    assert found.open.flows - found.excess.flows == 1
    assert found.excess.flows > 3 * 65535


labels = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    objects: list[dict[str, Any]] = []
    for number in range(1, draw(st.integers(2, 6))):
        metadata = {"name": f"p{number}", "namespace": draw(st.sampled_from("ab")), "labels": draw(labels)}
        status = {"podIP": f"10.0.0.{number}"}
        spec = {"nodeName": "n1", "hostNetwork": draw(st.sampled_from([False, False, False, True]))}
        objects.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})
    return World(read_objects(objects))


@st.composite
def required(draw: st.DrawFn, world: World) -> list[Required]:
    pods = sorted(ref for ref, pod in world.endpoints.pods.items() if pod.selectable)
    some = st.lists(st.sampled_from(pods), min_size=1, max_size=2, unique=True).map(tuple)
    ranges = st.sampled_from(["10.0.0.0/30", "192.0.2.0/24", "0.0.0.0/0"]).map(ip_network)
    port = st.sampled_from([(80, "TCP"), (81, "TCP"), (53, "UDP")])
    found = []
    for _ in range(draw(st.integers(0, 4))):
        number, protocol = draw(port)
        kind = draw(st.sampled_from(["pods", "pods", "in", "out"]))
        sources, destinations = (() if kind == "in" else draw(some)), (() if kind == "out" else draw(some))
        inside, outside = (draw(ranges) if kind == "in" else None), (draw(ranges) if kind == "out" else None)
        found.append(Required(sources, inside, destinations, outside, number, protocol))
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_exactly_the_required_traffic_passes(data: st.DataObject) -> None:
    world = data.draw(worlds())
    pods = {ref: pod for ref, pod in world.endpoints.pods.items() if pod.selectable}
    flows = data.draw(required(world)) if pods else []
    try:
        policies = synthesize(world, flows)
    except UsageError as error:
        assert "labels cannot tell" in error.message  # noqa: PT017 - either an answer or this reason
        return
    manifests = [dump_policy(policy) for policy in policies]
    assert read_objects(manifests).policies == policies
    assert verify(world, flows, policies).changes == ()
    made = World(type(world.objects)(world.objects.namespaces, world.objects.pods, policies=policies))
    ends = (*pods, "ip:192.0.2.9", "ip:203.0.113.9")
    for source in ends:
        for destination in ends:
            for port, protocol in ((80, "TCP"), (81, "TCP"), (53, "UDP"), (9, "SCTP")):
                if source == destination or (source.startswith("ip:") and destination.startswith("ip:")):
                    continue
                asked = any(_names(each, source, destination, port, protocol) for each in flows)
                assert made.verdict(Flow(source, destination, port, protocol)).allowed is asked


def _names(flow: Required, source: str, destination: str, port: int, protocol: str) -> bool:
    from ipaddress import ip_address

    def meant(refs: tuple[str, ...], network: Any, ref: str) -> bool:
        if network is None:
            return ref in refs
        return ref.startswith("ip:") and ip_address(ref[3:]) in network

    return (
        (flow.port, flow.protocol) == (port, protocol)
        and meant(flow.sources, flow.from_range, source)
        and meant(flow.destinations, flow.to_range, destination)
    )


def test_an_empty_selector_is_everything() -> None:
    assert exact_selector([Endpoint("a")], []) == LabelSelector()
