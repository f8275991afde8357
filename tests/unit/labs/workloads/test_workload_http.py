"""HTTP/1.1 of the workloads, byte for byte: what it answers, when it closes, what it refuses."""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.sandbox.workloads.http import HttpConnection, Request, Response


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def echo(request: Request) -> Response:
    return Response(201, f"{request.method} {request.path} ".encode() + request.body)


def talk(*pieces: bytes) -> tuple[Wire, list[str]]:
    log: list[str] = []
    wire = Wire()

    async def scenario() -> None:
        connection = HttpConnection(echo, ("10.0.0.1", 5), ("10.0.0.2", 80), log.append)
        connection.connection_made(wire)
        for piece in pieces:
            if not wire.closed:
                connection.data_received(piece)
        connection.connection_lost(None)

    asyncio.run(scenario())
    return wire, log


def statuses(wire: Wire) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+) ", wire.written)]


GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
BIG = b"x" * (1024 * 1024 + 1)


@pytest.mark.parametrize(
    ("sent", "codes", "closed"),
    [
        (GET, [201], False),
        (GET * 3, [201, 201, 201], False),
        (b"\r\n" + GET, [201], False),
        (b"GET / HTTP/1.0\r\n\r\n", [201], True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", [201], False),
        (b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n" + GET, [201], True),
        (b"POST /a HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\n\r\nhi" + GET, [201, 201], False),
        (b"POST /a HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\n\r\nh", [], False),
        (b"POST /a HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\n\r\n", [201], False),
        (b"POST /a HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", [100], False),
        (b"GET /\r\n\r\n", [400], True),
        (b"GET / HTTP/1.1\r\n\r\n", [400], True),
        (b"GET / HTTP/2.0\r\nHost: web\r\n\r\n", [505], True),
        (b"GET / HTTP/1.1\r\nHost : web\r\n\r\n", [400], True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", [400], True),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", [400], True),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", [400], True),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", [400], True),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", [400], True),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", [400], True),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhixx", [400], True),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", [413], True),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n", [413], True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20000, [431], True),
        (b"\x16\x03\x01\x02\x00\x01\x00", [400], True),
    ],
)
def test_answers(sent: bytes, codes: list[int], closed: bool) -> None:
    wire, _ = talk(sent)
    assert statuses(wire) == codes
    assert wire.closed is closed


def test_head_has_the_length_but_no_body() -> None:
    wire, _ = talk(b"HEAD /x HTTP/1.1\r\nHost: web\r\n\r\n")
    assert b"Content-Length: 8\r\n" in wire.written
    assert wire.written.endswith(b"\r\n\r\n")


def test_the_log_is_one_clean_line_a_request() -> None:
    _, log = talk(b'GET /"\x1b[31m HTTP/1.1\r\nHost: web\r\nUser-Agent: a"b\r\n\r\n')
    (line,) = log
    assert line.startswith("10.0.0.1 - - [")
    assert line.endswith('"GET /??[31m HTTP/1.1" 201 12 "-" "a?b"')


def test_a_client_that_does_not_read_is_not_answered_on() -> None:
    wire = Wire()

    async def scenario() -> tuple[list[int], list[int]]:
        connection = HttpConnection(echo, ("10.0.0.1", 5), ("10.0.0.2", 80), lambda _: None)
        connection.connection_made(wire)
        connection.pause_writing()
        connection.data_received(GET * 2)
        held = statuses(wire), wire.reading
        connection.resume_writing()
        connection.connection_lost(None)
        return held[0], statuses(wire)

    assert asyncio.run(scenario()) == ([], [201, 201])
    assert wire.reading


STREAM = (
    b"POST /a HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    b"POST /b HTTP/1.1\r\nHost: w\r\nContent-Length: 3\r\n\r\nxyz" + GET
)


@given(st.sets(st.integers(1, len(STREAM) - 1)))
def test_how_the_bytes_arrive_makes_no_difference(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    wire, _ = talk(*(STREAM[a:b] for a, b in itertools.pairwise(edges)))
    bodies = re.findall(rb"\r\n\r\n([A-Z]+ /\S* \w*?)(?=HTTP/1.1 201|$)", wire.written)
    assert bodies == [b"POST /a abcde", b"POST /b xyz", b"GET / "]


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_no_bytes_break_it(pieces: list[bytes]) -> None:
    talk(*pieces)
