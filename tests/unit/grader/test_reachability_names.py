"""What people type for endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from content.errors import UsageError
from grader.kube.parse import read_objects
from grader.reachability.matrix import Column
from grader.reachability.names import Target, columns, parse_target, resolve
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("web", Target("web")),
        ("web:80", Target("web", 80)),
        ("shop/web:53/udp", Target("shop/web", 53, "UDP")),
        ("web.shop:icmp", Target("web.shop", 0, "ICMP")),
        ("service:shop/web", Target("service:shop/web")),
        ("service:shop/web:80", Target("service:shop/web", 80)),
        ("node:n1:30080", Target("node:n1", 30080)),
        ("10.0.0.1", Target("ip:10.0.0.1")),
        ("10.0.0.1:80", Target("10.0.0.1", 80)),
        ("ip:10.0.0.1:80", Target("ip:10.0.0.1", 80)),
        ("fd00::1", Target("ip:fd00::1")),
        ("ip:fd00::1", Target("ip:fd00::1")),
        ("[fd00::1]:443", Target("ip:fd00::1", 443)),
        ("[fd00::1]", Target("ip:fd00::1")),
        ("a:65535", Target("a", 65535)),
        ("ip:[fd00::1]:443/sctp", Target("ip:fd00::1", 443, "SCTP")),
        ("https://X.example/cart?a=b", Target("https://x.example/cart", 443)),
        ("http://x.example:8080", Target("http://x.example:8080/", 8080)),
    ],
)
def test_a_target(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    ("text", "words"),
    [("a:0", "0 is no port"), ("a:70000", "no port"), ("a:1/tpc", "no protocol"), ("a:65536", "no port")],
)
def test_no_target(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_target(text)


@pytest.mark.parametrize("rest", ["x", "x:80", "]:80", ":http", ":"])
def test_only_a_port_stands_behind_brackets(rest: str) -> None:
    with pytest.raises(UsageError, match="behind an address is no port") as caught:
        parse_target(f"[fd00::1]{rest}")
    assert str(caught.value).startswith(rest)
    assert caught.value.remedy == "write it as in [2001:db8::1]:443"


@pytest.mark.parametrize(
    ("text", "refs"),
    [
        ("shop/web", ("shop/web",)),
        ("db", ("shop/db",)),
        ("db.shop", ("shop/db",)),
        ("guest.lobby", ("lobby/guest",)),
        ("both", ("service:shop/both",)),
        ("both.shop", ("service:shop/both",)),
        ("service:both", ("service:shop/both",)),
        ("service:shop/web", ("service:shop/web",)),
        ("10.0.1.1", ("shop/web",)),
        ("ip:192.0.2.1", ("ip:192.0.2.1",)),
        ("ip:10.96.0.7", ("service:shop/web",)),
        ("node:n1", ("node:n1",)),
        ("host:bastion", ("host:bastion",)),
        ("outside", ("host:outside",)),
        ("https://x.example", ("https://x.example/",)),
    ],
)
def test_a_name(shop: Callable[..., World], text: str, refs: tuple[str, ...]) -> None:
    assert resolve(shop(), text) == refs


@pytest.mark.parametrize(
    ("text", "words"),
    [("nobody.lobby", "no pod, workload or Service"), ("service:x", "Service x"), ("done", "Service done")],
)
def test_no_name(shop: Callable[..., World], text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve(shop(), text)


def test_a_close_name_is_suggested(shop: Callable[..., World]) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(shop(), "gest")
    assert "guest" in caught.value.remedy


def test_every_declared_port_where_none_is_given(shop: Callable[..., World]) -> None:
    world = shop()
    assert columns(world, Target("db")) == (Column("shop/db", 5432), Column("shop/db", 8081))
    assert columns(world, Target("both")) == (Column("service:shop/both", 80),)
    assert columns(world, Target("db", 1, "UDP")) == (Column("shop/db", 1, "UDP"),)
    assert [(each.port, each.protocol) for each in columns(world, Target("shop/web"))] == [
        *((53, "UDP"), (8080, "TCP")),
        (9000, "TCP"),  # of an init container
    ]
    with pytest.raises(UsageError, match="new declares no port") as caught:
        columns(world, Target("new"))
    assert caught.value.remedy == "name one: new:80, or :icmp"


def objects(*manifests: tuple[str, str, str, dict[str, Any]]) -> World:
    made = [
        {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}
        for kind, namespace, name, spec in manifests
    ]
    return World(read_objects(made))


def test_ports_of_a_service_keep_their_protocol() -> None:
    world = objects(
        ("Service", "dns", "dns", {"selector": {}, "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]})
    )
    expected = (Column("service:dns/dns", 53, "UDP"), Column("service:dns/dns", 53, "TCP"))
    assert columns(world, Target("dns.dns")) == expected


def test_names_with_dots_in_them() -> None:
    world = objects(("Pod", "shop", "web.v1", {}), ("Pod", "zoo", "web.v1", {}))
    assert resolve(world, "web.v1.shop") == ("shop/web.v1",)
    with pytest.raises(UsageError, match=r"web.v1 could be any of web.v1.shop, web.v1.zoo"):
        resolve(world, "web.v1")


def test_at_most_three_close_names_are_suggested() -> None:
    world = objects(*(("Pod", "shop", f"cart{n}", {}) for n in range(5)))
    with pytest.raises(UsageError, match="there is no pod, workload or Service cart9") as caught:
        resolve(world, "cart9")
    assert caught.value.remedy == "did you mean cart4 or cart3 or cart2?"
