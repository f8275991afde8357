"""The cluster's names: from objects to records, and from packets to packets."""

from __future__ import annotations

from typing import Any

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.sandbox.workloads.dns import Resolver
from labs.sandbox.workloads.records import Records, Srv, build

DOMAIN = "cluster.local"


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def pod(name: str, address: str, *, ready: bool = True, **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": "db"}},
        "spec": {"containers": [{"name": "c", "ports": [{"name": "sql", "containerPort": 5432}]}], **spec},
        "status": {
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


HTTP = {"name": "http", "port": 80, "targetPort": 8080}
OBJECTS = [
    {"kind": "Namespace", "metadata": {"name": "shop"}},
    {"kind": "Namespace", "metadata": {"name": "empty"}},
    service("web", clusterIP="10.96.0.5", clusterIPs=["10.96.0.5", "fd00:96::5"], ports=[HTTP, {"port": 9}]),
    service("db", clusterIP="None", selector={"app": "db"}, ports=[{"name": "sql", "port": 1, "targetPort": "sql"}]),
    service("all", clusterIP="None", selector={"app": "db"}, ports=[], publishNotReadyAddresses=True),
    service("out", type="ExternalName", externalName="bastion"),
    service("loop", type="ExternalName", externalName="loop.shop.svc.cluster.local"),
    service("inside", type="ExternalName", externalName="web.shop.svc.cluster.local"),
    service("sliced", clusterIP="None", ports=[HTTP]),
    service("orphan", clusterIP="None", ports=[HTTP]),
    pod("db-0", "10.244.0.5", hostname="db-0", subdomain="db"),
    pod("db-1", "10.244.0.6"),
    pod("db-2", "10.244.0.7", ready=False),
    {
        "kind": "EndpointSlice",
        "metadata": {"name": "s", "namespace": "shop", "labels": {"kubernetes.io/service-name": "sliced"}},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": ["10.9.9.9"], "hostname": "one", "conditions": {"ready": True}},
            {"addresses": ["fd00::9"]},
            {"addresses": ["10.9.9.8"], "conditions": {"ready": False}},
        ],
    },
]
RECORDS = build(OBJECTS, {"bastion": ["203.0.113.9", "2001:db8::9"]})
S = f"shop.svc.{DOMAIN}"


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        (f"web.{S}", "A", {"10.96.0.5"}),
        (f"WEB.{S}.", "A", {"10.96.0.5"}),
        (f"web.{S}", "AAAA", {"fd00:96::5"}),
        (f"_http._tcp.web.{S}", "SRV", {Srv(80, f"web.{S}")}),
        (f"web.{S}", "SRV", {Srv(80, f"web.{S}"), Srv(9, f"web.{S}")}),
        ("5.0.96.10.in-addr.arpa", "PTR", {f"web.{S}"}),
        (f"db.{S}", "A", {"10.244.0.5", "10.244.0.6"}),
        (f"db-0.db.{S}", "A", {"10.244.0.5"}),
        (f"10-244-0-6.db.{S}", "A", {"10.244.0.6"}),
        (f"_sql._tcp.db.{S}", "SRV", {Srv(5432, f"db-0.db.{S}"), Srv(5432, f"10-244-0-6.db.{S}")}),
        (f"all.{S}", "A", {"10.244.0.5", "10.244.0.6", "10.244.0.7"}),
        (f"sliced.{S}", "A", {"10.9.9.9"}),
        (f"sliced.{S}", "AAAA", {"fd00::9"}),
        (f"one.sliced.{S}", "A", {"10.9.9.9"}),
        (f"fd00--9.sliced.{S}", "AAAA", {"fd00::9"}),
        (f"10-1-2-3.shop.pod.{DOMAIN}", "A", {"10.1.2.3"}),
        (f"fd00--1.shop.pod.{DOMAIN}", "AAAA", {"fd00::1"}),
        ("bastion", "A", {"203.0.113.9"}),
        ("bastion", "AAAA", {"2001:db8::9"}),
    ],
)
def test_names_that_have_it(name: str, kind: str, values: set[Any]) -> None:
    found = RECORDS.find(name, kind)
    assert set(found.values) == values
    assert found.exists


@pytest.mark.parametrize(
    ("name", "kind", "exists"),
    [
        (f"db.{S}", "AAAA", True),
        (f"orphan.{S}", "A", True),
        (S, "A", True),
        (f"empty.svc.{DOMAIN}", "A", True),
        (f"svc.{DOMAIN}", "A", True),
        (f"_tcp.web.{S}", "A", True),
        (DOMAIN, "A", True),
        (f"10-1-2-3.shop.pod.{DOMAIN}", "AAAA", True),
        (f"10-1-2-3.nowhere.pod.{DOMAIN}", "A", False),
        (f"web-1.shop.pod.{DOMAIN}", "A", False),
        (f"nothing.{S}", "A", False),
        (f"web.nowhere.svc.{DOMAIN}", "A", False),
        (f"web.{S}.{S}", "A", False),
        (f"bastion.{S}", "A", False),
        ("example.com", "A", False),
        ("web", "A", False),
    ],
)
def test_names_that_have_nothing_of_the_kind(name: str, kind: str, exists: bool) -> None:
    found = RECORDS.find(name, kind)
    assert found.values == ()
    assert found.exists is exists


def ask(name: str, kind: str = "A", *, edns: int = 0, records: Records | None = RECORDS, tcp: bool = False) -> Any:
    query = dnslib.DNSRecord.question(name, kind)
    if edns:
        query.add_ar(dnslib.EDNS0(udp_len=edns))
    resolver = Resolver()
    resolver.records = records
    data = bytes(query.pack())
    reply = dnslib.DNSRecord.parse(resolver.over_tcp(data) if tcp else resolver.over_udp(data))
    assert reply.header.id == query.header.id
    assert reply.q == query.q
    return reply


@pytest.mark.parametrize(
    ("name", "kind", "code", "answers", "authority"),
    [
        (f"web.{S}", "A", "NOERROR", ["10.96.0.5"], 0),
        (f"web.{S}", "TXT", "NOERROR", [], 1),
        (f"nothing.{S}", "A", "NXDOMAIN", [], 1),
        ("example.com", "A", "NXDOMAIN", [], 0),
        (f"out.{S}", "A", "NOERROR", ["bastion.", "203.0.113.9"], 0),
        (f"inside.{S}", "A", "NOERROR", [f"web.{S}.", "10.96.0.5"], 0),
        (f"out.{S}", "CNAME", "NOERROR", ["bastion."], 0),
    ],
)
def test_packets(name: str, kind: str, code: str, answers: list[str], authority: int) -> None:
    reply = ask(name, kind)
    assert dnslib.RCODE[reply.header.rcode] == code
    assert [str(one.rdata) for one in reply.rr] == answers
    assert len(reply.auth) == authority


def test_service_records_bring_their_addresses() -> None:
    reply = ask(f"_http._tcp.web.{S}", "SRV", edns=1232)
    assert [str(one.rdata) for one in reply.rr] == [f"0 100 80 web.{S}."]
    assert {str(one.rdata) for one in reply.ar if one.rtype != dnslib.QTYPE.OPT} == {"10.96.0.5", "fd00:96::5"}


def test_an_alias_to_itself_ends() -> None:
    assert len(ask(f"loop.{S}").rr) <= 8


def test_before_anything_is_known() -> None:
    assert dnslib.RCODE[ask("x", records=None).header.rcode] == "SERVFAIL"


@pytest.mark.parametrize(
    ("edns", "tcp", "cut"), [(0, False, True), (1232, False, True), (4096, False, False), (0, True, False)]
)
def test_long_answers_are_cut_for_small_clients(edns: int, tcp: bool, cut: bool) -> None:
    many = [pod(f"p{n}", f"10.244.1.{n}") for n in range(1, 121)]
    records = build([service("many", clusterIP="None", selector={"app": "db"}, ports=[]), *many])
    reply = ask(f"many.{S}", edns=edns, records=records, tcp=tcp)
    assert bool(reply.header.tc) is cut
    assert len(reply.rr) == (0 if cut else 120)


@given(st.binary(max_size=100))
def test_any_bytes_get_an_answer_or_none(data: bytes) -> None:
    resolver = Resolver()
    resolver.records = RECORDS
    answer = resolver.over_udp(data)
    assert not answer or answer[:2] == data[:2]


def test_answers_are_not_answered() -> None:
    resolver = Resolver()
    resolver.records = RECORDS
    assert resolver.over_udp(bytes(dnslib.DNSRecord.question("x").reply().pack())) == b""
