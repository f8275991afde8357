"""What an answer proves, whoever wrote it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from labs.kube.probing.talk import NOTHING, Speech, Told, address_in, nonce, questions, read

FRESH = "0123456789abcdef01234567"


def http(*bodies: str, status: str = "200 OK") -> bytes:
    return b"".join(
        f"HTTP/1.1 {status}\r\nDate: now\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode() for body in bodies
    )


GOOD = http("server", "10.0.0.1:4711", FRESH)


@pytest.mark.parametrize(
    ("protocol", "speech", "answers", "told"),
    [
        ("TCP", Speech.NETEXEC, (GOOD,), Told(True, "server", "10.0.0.1")),
        ("TCP", Speech.UNKNOWN, (GOOD,), Told(True, "server", "10.0.0.1")),
        ("TCP", Speech.NETEXEC, (http("server", "[fd00::1]:4711", FRESH),), Told(True, "server", "fd00::1")),
        ("TCP", Speech.NETEXEC, (http("server", "[::ffff:10.0.0.1]:4711", FRESH),), Told(True, "server", "10.0.0.1")),
        ("TCP", Speech.NETEXEC, (http("\x1b[2J", "10.0.0.1:9999999", FRESH),), Told(True)),
        ("TCP", Speech.NETEXEC, (http("server", "10.0.0.1:4711", "f" * 24),), NOTHING),
        ("TCP", Speech.NETEXEC, (http("server", "10.0.0.1:4711", FRESH, status="404 Not Found"),), NOTHING),
        ("TCP", Speech.NETEXEC, (http("server", FRESH),), NOTHING),
        ("TCP", Speech.NETEXEC, (GOOD[:-1],), NOTHING),
        ("TCP", Speech.NETEXEC, (FRESH.encode(),), NOTHING),
        ("TCP", Speech.NETEXEC, (b"GET /echo?msg=" + FRESH.encode(),), NOTHING),
        ("TCP", Speech.NETEXEC, (b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + FRESH.encode(),), NOTHING),
        ("TCP", Speech.NETEXEC, (b"\xff\x00" * 50,), NOTHING),
        ("TCP", Speech.NETEXEC, (), NOTHING),
        ("UDP", Speech.NETEXEC, (FRESH.encode(), b"server", b"10.0.0.1:4711"), Told(True, "server", "10.0.0.1")),
        ("UDP", Speech.NETEXEC, (FRESH.encode(),), Told(True)),
        ("UDP", Speech.NETEXEC, (b"server", FRESH.encode()), NOTHING),
        ("UDP", Speech.DNS, (b"\x01\x23" + FRESH.encode(),), Told(True)),
        ("UDP", Speech.DNS, (b"\x01\x23",), NOTHING),
        ("TCP", Speech.DNS, (b"\0\x20" + FRESH.encode(),), Told(True)),
        ("SCTP", Speech.NETEXEC, (FRESH.encode(),), Told(True)),
        ("ICMP", Speech.UNKNOWN, (b"anything",), Told(True)),
    ],
)
def test_what_an_answer_proves(protocol: str, speech: Speech, answers: tuple[bytes, ...], told: Told) -> None:
    assert read(protocol, speech, FRESH, answers) == told


@given(
    some.sampled_from(["TCP", "UDP", "SCTP"]), some.sampled_from(list(Speech)), some.lists(some.binary(), max_size=3)
)
def test_nobody_proves_anything_without_the_nonce(protocol: str, speech: Speech, answers: list[bytes]) -> None:
    assert read(protocol, speech, nonce(), answers) == NOTHING


def test_a_question_to_netexec_is_three_requests_of_which_the_last_ends_the_connection() -> None:
    (text,) = questions("TCP", Speech.NETEXEC, FRESH)
    assert text.count(b"GET ") == 3
    assert text.count(b"Connection: close") == 1
    assert text.endswith(f"GET /echo?msg={FRESH} HTTP/1.1\r\nHost: netdojo\r\nConnection: close\r\n\r\n".encode())


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_question_to_a_dns_server_is_one_that_a_dns_library_reads(protocol: str) -> None:
    from dnslib import DNSRecord

    (text,) = questions(protocol, Speech.DNS, FRESH)
    record = DNSRecord.parse(text if protocol == "UDP" else text[2:])
    assert str(record.q.qname) == f"{FRESH}.default.svc.cluster.local."


@pytest.mark.parametrize("text", ["", "10.0.0.1", "1.2.3:4", "10.0.0.1:x", "999.0.0.1:80", "[fd00::zz]:1", ":" * 50])
def test_what_is_no_address_is_none(text: str) -> None:
    assert address_in(text) == ""
