"""Sealed answers, images to behaviours, and SCTP's packets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.sandbox.runtime import ContainerSpec, PodSpec, ServedPort
from labs.sandbox.workloads import behaviours, identity, sctp
from labs.sandbox.workloads.http import Request

KEY, FRESH, WHO, CLIENT = "key", "0" * 32, "shop/web", "10.0.0.1"
HONEST = identity.answer(KEY, FRESH, WHO, CLIENT)


def test_an_honest_answer_is_read() -> None:
    assert identity.read_question(identity.question(FRESH)) == FRESH
    assert identity.read_answer(KEY, FRESH, HONEST) == identity.Answer(WHO, CLIENT)


@pytest.mark.parametrize(
    "forged",
    [
        identity.answer("another key", FRESH, WHO, CLIENT),
        identity.answer(KEY, "1" * 32, WHO, CLIENT),
        HONEST.replace(b"shop/web", b"shop/api"),
        HONEST.replace(b"10.0.0.1", b"10.0.0.2"),
        HONEST[:-3],
        b"HTTP/1.1 200 OK\r\n",
        b"",
    ],
    ids=["key", "nonce", "name", "client", "cut", "http", "empty"],
)
def test_a_forged_answer_is_not(forged: bytes) -> None:
    assert identity.read_answer(KEY, FRESH, forged) is None


@given(st.binary())
def test_any_bytes_can_be_read(data: bytes) -> None:
    identity.read_question(data)
    assert identity.read_answer(KEY, FRESH, data) is None
    sctp.unpack(data)


@pytest.mark.parametrize(
    ("address", "plain"),
    [("::ffff:10.0.0.1", "10.0.0.1"), ("fd00::1", "fd00::1"), ("fe80::1%eth0", "fe80::1"), ("10.0.0.1", "10.0.0.1")],
)
def test_addresses_as_people_write_them(address: str, plain: str) -> None:
    assert identity.plain_address(address) == plain


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx"),
        ("nginx:1.27-alpine", "nginx"),
        ("docker.io/nginxinc/nginx-unprivileged@sha256:0", "nginx"),
        ("example.test:5000/team/nginx", "nginx"),
        ("registry.k8s.io/e2e-test-images/agnhost:2.45", "netexec"),
        ("registry.k8s.io/coredns/coredns:v1.11.1", "coredns"),
        ("stefanprodan/podinfo", "podinfo"),
        ("quay.io/coreos/etcd:v3.5.0", "etcd"),
        ("redis:7", "redis"),
        ("postgres:16", "postgres"),
        ("my-nginx-app", "plain"),
        ("calico/customer", "plain"),
    ],
)
def test_images(image: str, name: str) -> None:
    assert behaviours.behaviour_of(image).name == name


def test_declared_ports_come_before_the_images_own() -> None:
    declared = (ServedPort(8080),)
    assert behaviours.served_ports(ContainerSpec("c", "nginx", declared)) == declared
    assert behaviours.served_ports(ContainerSpec("c", "nginx")) == (ServedPort(80),)
    assert behaviours.served_ports(ContainerSpec("c", "busybox")) == ()


@pytest.mark.parametrize(
    ("image", "target", "status", "body"),
    [
        ("agnhost", "/hostname", 200, b"web-1"),
        ("agnhost", "/clientip", 200, b"10.0.0.1:5"),
        ("agnhost", "/echo?msg=a%20b&code=418", 418, b"a b"),
        ("agnhost", "/echo?msg=a&code=999", 200, b"a"),
        ("agnhost", "/nothing", 404, b"404 page not found\n"),
        ("nginx", "/", 200, b"Welcome to nginx!"),
        ("nginx", "/x", 404, b"404 Not Found"),
        ("podinfo", "/healthz", 200, b'"OK"'),
        ("etcd", "/v2/keys/a", 200, b"/v2/keys/a"),
        ("anything", "/", 200, b"shop/web-1\n"),
    ],
)
def test_http_answers(image: str, target: str, status: int, body: bytes) -> None:
    pod = PodSpec("u", "shop", "web-1", "n", (), ())
    request = Request("GET", target, {"host": "web"}, b"", ("10.0.0.1", 5), ("10.0.0.2", 80))
    response = behaviours.behaviour_of(image).respond(pod, request)
    assert response.status == status
    assert body in response.body


def test_the_checksum_of_rfc_9260() -> None:
    assert sctp.crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("chunk", [sctp.INIT, sctp.INIT_ACK])
@pytest.mark.parametrize("text", [b"", b"x", b"four", b"sealed answer\n"])
def test_packets_come_back_as_they_went(chunk: int, text: bytes) -> None:
    packet = sctp.Packet(40000, 80, 7, chunk, 9, text)
    assert sctp.unpack(packet.pack()) == packet
    assert len(packet.pack()) % 4 == 0


@given(st.integers(0, 43), st.integers(1, 255))
def test_a_damaged_packet_is_no_packet(at: int, flip: int) -> None:
    data = bytearray(sctp.Packet(40000, 80, 0, sctp.INIT, 9, b"12345678").pack())
    data[at] ^= flip
    assert sctp.unpack(bytes(data)) is None


@pytest.mark.parametrize(
    ("packet", "chunk"),
    [
        (sctp.Packet(40000, 80, 0, sctp.INIT, 9), sctp.INIT_ACK),
        (sctp.Packet(40000, 81, 0, sctp.INIT, 9), sctp.ABORT),
        (sctp.Packet(40000, 80, 5, sctp.INIT, 9), None),
        (sctp.Packet(40000, 80, 0, sctp.INIT, 0), None),
        (sctp.Packet(40000, 80, 0, sctp.INIT_ACK, 9), None),
        (sctp.Packet(40000, 80, 0, sctp.ABORT), None),
    ],
)
def test_what_an_sctp_server_says(packet: sctp.Packet, chunk: int | None) -> None:
    reply = sctp.reply_to(packet, {80}.__contains__, KEY, WHO, CLIENT)
    assert (reply and reply.chunk) == chunk
    if reply:
        assert (reply.source, reply.destination, reply.tag) == (packet.destination, packet.source, packet.initiate)
