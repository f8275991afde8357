"""The agent's output is a stranger's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from grader.errors import InfrastructureError
from labs.kube.probing import wire
from labs.kube.probing.places import Place
from labs.kube.probing.wire import Errand, Report, Word

TWO = b"R 0 answer - 1500 6162,-\nR 7 failed ECONNREFUSED 90 -\nE 2\n"


def test_what_the_agent_writes_is_read() -> None:
    assert wire.unpack(TWO, [0, 7]) == {
        0: Report(Word.ANSWER, "", 1.5, (b"ab", b"")),
        7: Report(Word.FAILED, "ECONNREFUSED", 0.09, ()),
    }


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (b"", "stopped in the middle: 0 of 2"),
        (TWO[:-4], "stopped in the middle"),
        (TWO[:20], "stopped in the middle"),
        (b"R 0 answer - 1500 6162\nE 2\n", "1 of 2 probes"),
        (b"R 0 answer - 1500 6162\nE 1\n", "1 of 2 probes"),
        (TWO.replace(b"R 7", b"R 0"), "cannot be read: R 0 failed"),
        (TWO.replace(b"R 7", b"R 8"), "cannot be read: R 8 failed"),
        (TWO.replace(b"failed", b"open"), "cannot be read: R 7 open"),
        (TWO.replace(b"6162", b"616"), "cannot be read: 616"),
        (TWO.replace(b"6162", b"\x1b[2J"), "cannot be read: R 0 answer - 1500 ?[2J,-"),
        (TWO.replace(b"1500", b"-1"), "cannot be read"),
        (b"x" * 10_000_000, "10000000 bytes"),
        (b"X architecture 6d697073\n", "this processor's system calls (mips)"),
        (b"X namespace 4e6f\n", "cannot work: namespace (No)"),
        (b"X namespace 4e6\n", "cannot work"),
    ],
)
def test_anything_else_is_refused(output: bytes, words: str) -> None:
    with pytest.raises(InfrastructureError) as caught:
        wire.unpack(output, [0, 7])
    assert words in caught.value.message
    assert len(caught.value.message) < 400


@given(some.binary(max_size=200))
def test_no_bytes_break_the_reader(output: bytes) -> None:
    with pytest.raises(InfrastructureError):
        wire.unpack(output, [0, 7])


def test_the_input_follows_the_agent() -> None:
    pod, node = Place("n", "uid", ("10.0.0.1",)), Place("n", "", ("172.18.0.2",))
    outside = Place("host:bastion", "", ("203.0.113.10", "2001:db8::1"))
    errands = [
        Errand(3, outside, "TCP", "10.0.0.2", 80, 300, "abb", (b"hi",), "172.18.0.2"),
        Errand(4, pod, "TCP", "10.0.0.2", 80, 300, "abc", (b"hi",)),
        Errand(5, node, "UDP", "fd00::1", 53, 300, "abd", (b"a", b""), paced=True),
        Errand(6, pod, "ICMP", "10.0.0.2", 0, 300, "abe", (b"x",)),
    ]
    script, _, given_lines = wire.pack(errands, 17).decode().partition("\n__END__\n")
    assert script.encode() in wire.script()
    assert given_lines.splitlines() == [
        "L 500 1000 2 2048 17",
        "G 10.0.0.2 via 172.18.0.2 src 203.0.113.10",
        "S 0 - 203.0.113.10",
        "S 1 uid 10.0.0.1",
        "S 2 - 172.18.0.2",
        "P 3 0 TCP 10.0.0.2 80 300 0 abb 6869",
        "P 4 1 TCP 10.0.0.2 80 300 0 abc 6869",
        "P 5 2 UDP fd00::1 53 300 1 abd 61,-",
        "P 6 1 ICMP 10.0.0.2 0 300 0 abe 78",
        "E",
    ]
