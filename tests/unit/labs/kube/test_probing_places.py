"""Names of endpoints to where they are and who may answer there."""

from __future__ import annotations

from typing import Any

import pytest

from labs.kube.probing.places import Place, Places, Target, hostname, nodes_in_order, speech_of
from labs.kube.probing.talk import Speech

HOSTS = {"bastion": ("172.18.0.9",)}


@pytest.fixture
def places(shop: list[dict[str, Any]]) -> Places:
    return Places(shop, HOSTS)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("shop/web-1", Place("kind-worker", "uid-shop-web-1", ("10.0.0.1",))),
        ("shop/web-2", Place("kind-z-control", "uid-shop-web-2", ("10.0.0.2",))),
        ("shop/proxy", Place("kind-worker", "", ("172.18.0.3",))),
        ("node:kind-worker", Place("kind-worker", "", ("172.18.0.3",))),
        ("node:node-1", Place("kind-z-control", "", ("172.18.0.2",))),
        ("node:node-2", Place("kind-worker", "", ("172.18.0.3",))),
        ("host:bastion", Place("host:bastion", "", ("172.18.0.9",))),
    ],
)
def test_where_a_source_is(places: Places, name: str, place: Place) -> None:
    assert places.source(name) == place


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("shop/gone", "there is no pod shop/gone now"),
        ("shop/web-old", "pod shop/web-old has ended"),
        ("node:node-3", "there is no node node-3 (there are: kind-z-control, kind-worker)"),
        ("node:node-0", "there is no node node-0"),
        ("host:moon", "there is no outside host moon (there are: bastion)"),
        ("service:shop/web", "cannot be a source"),
        ("ip:10.0.0.1", "cannot be a source"),
    ],
)
def test_what_is_no_source_says_why(places: Places, name: str, why: str) -> None:
    with pytest.raises(LookupError) as caught:
        places.source(name)
    assert why in caught.value.args[0]


@pytest.mark.parametrize(
    ("name", "port", "protocol", "addresses", "servers"),
    [
        ("shop/web-1", 80, "TCP", ["10.0.0.1"], ["shop/web-1 netexec"]),
        ("shop/web-1", 81, "TCP", ["10.0.0.1"], ["shop/web-1 unknown"]),
        ("shop/web-1", 8081, "UDP", ["10.0.0.1"], ["shop/web-1 unknown"]),
        ("shop/dns", 53, "UDP", ["10.0.0.4"], ["shop/dns dns"]),
        ("service:shop/web", 8080, "TCP", ["10.96.0.1"], ["shop/web-1 netexec", "shop/web-2 netexec"]),
        ("service:shop/web", 80, "TCP", ["10.96.0.1"], []),
        ("service:shop/web", 8080, "UDP", ["10.96.0.1"], []),
        ("service:shop/named", 80, "TCP", ["10.96.0.2"], ["shop/web-1 netexec", "shop/web-2 unknown"]),
        ("service:shop/dns", 53, "UDP", ["10.96.0.10"], ["shop/dns dns"]),
        ("service:shop/outside", 80, "TCP", ["10.96.0.3"], []),
        ("service:shop/headless", 80, "TCP", [], ["shop/web-1 netexec", "shop/web-2 netexec"]),
        ("node:node-1", 30080, "TCP", ["172.18.0.2"], ["shop/web-1 netexec", "shop/web-2 netexec"]),
        ("node:node-1", 22, "TCP", ["172.18.0.2"], []),
        ("host:bastion", 80, "TCP", ["172.18.0.9"], ["host:bastion netexec"]),
        ("host:bastion", 22, "TCP", ["172.18.0.9"], ["host:bastion unknown"]),
        ("ip:2001:DB8::1", 80, "TCP", ["2001:db8::1"], []),
    ],
)
def test_where_a_probe_goes_and_who_may_answer(
    places: Places, name: str, port: int, protocol: str, addresses: list[str], servers: list[str]
) -> None:
    target = places.target(name, port, protocol)
    assert [*target.addresses] == addresses
    assert [f"{server.name} {server.speech}" for server in target.servers] == servers


@pytest.mark.parametrize(
    ("name", "behind"),
    [
        ("shop/web-1", ("172.18.0.3",)),
        ("shop/proxy", ()),
        ("service:shop/web", ("172.18.0.2",)),
        ("node:node-1", ()),
        ("host:bastion", ()),
        ("ip:10.0.0.1", ()),
    ],
)
def test_the_way_in_for_those_outside(places: Places, name: str, behind: tuple[str, ...]) -> None:
    assert places.target(name, 80, "TCP").behind == behind


@pytest.mark.parametrize(
    ("name", "port", "mute"), [("shop/mute", 514, True), ("shop/mute", 515, False), ("shop/web-1", 80, False)]
)
def test_who_may_never_answer_a_datagram(places: Places, name: str, port: int, *, mute: bool) -> None:
    assert places.target(name, port, "UDP").may_be_mute is mute


def test_a_name_that_two_pods_have_means_the_one_that_was_asked(places: Places) -> None:
    for ref in ("shop/web-1", "other/web-1"):
        assert places.named(places.target(ref, 80, "TCP"), "web-1") == ref
    assert places.named(Target(()), "bastion") == "host:bastion"
    assert places.named(Target(()), "web-old") == "", "it has ended"
    assert places.named(Target(()), "stranger") == ""


@pytest.mark.parametrize(
    ("spec", "called"),
    [
        ({}, "x" * 62),
        ({"hostname": "own"}, "own"),
        ({"hostNetwork": True, "nodeName": "kind-worker"}, "kind-worker"),
    ],
)
def test_what_a_pod_calls_itself(spec: dict[str, Any], called: str) -> None:
    assert hostname({"metadata": {"name": "x" * 62 + "-" + "y"}, "spec": spec}) == called


@pytest.mark.parametrize(
    ("image", "words", "port", "protocol", "speech"),
    [
        ("agnhost", ["netexec"], 8080, "TCP", Speech.NETEXEC),
        ("agnhost", ["netexec"], 8081, "UDP", Speech.NETEXEC),
        ("agnhost", ["netexec"], 80, "TCP", Speech.UNKNOWN),
        ("agnhost", ["netexec", "--http-port", "80"], 80, "TCP", Speech.NETEXEC),
        ("agnhost", ["netexec", "--udp-port=-1"], 8081, "UDP", Speech.UNKNOWN),
        ("agnhost", ["netexec", "--sctp-port=99"], 99, "SCTP", Speech.NETEXEC),
        ("agnhost", ["netexec"], 0, "ICMP", Speech.UNKNOWN),
        ("r.test:5000/x/agnhost:2.5@sha256:0", ["netexec"], 8080, "TCP", Speech.NETEXEC),
        ("agnhost", ["sh", "-c", "netexec --http-port=80 & netexec --http-port=81"], 81, "TCP", Speech.NETEXEC),
        ("agnhost", ["pause"], 8080, "TCP", Speech.UNKNOWN),
        ("agnhost/other", ["netexec"], 8080, "TCP", Speech.UNKNOWN),
        ("nginx", ["netexec"], 8080, "TCP", Speech.UNKNOWN),
    ],
)
def test_what_a_pod_speaks(image: str, words: list[str], port: int, protocol: str, speech: Speech) -> None:
    pod = {"metadata": {"name": "x"}, "spec": {"containers": [{"image": image, "args": words}]}}
    assert speech_of(pod, port, protocol) is speech


def test_a_uid_cannot_say_more_than_a_uid(shop: list[dict[str, Any]]) -> None:
    (client,) = (one for one in shop if one["metadata"]["name"] == "client")
    client["metadata"]["uid"] = "x 10.0.0.9\nE"
    with pytest.raises(LookupError, match="no uid"):
        Places(shop, {}).source("shop/client")


def test_the_control_plane_is_the_first_node(shop: list[dict[str, Any]]) -> None:
    nodes = nodes_in_order(one for one in shop if one["kind"] == "Node")
    assert [node["metadata"]["name"] for node in nodes] == ["kind-z-control", "kind-worker"]
