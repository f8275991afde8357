"""Classes of ports: two ports are one class exactly where no rule tells them apart."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.policy.model import Effect, Endpoint, Ports, Rule
from grader.reachability.portclasses import Interval, PortClasses

WHOLE = (Interval("SCTP", 1, 65535), Interval("TCP", 1, 65535), Interval("UDP", 1, 65535))
EDGES = (1, 2, 3, 79, 80, 81, 443, 65533, 65534, 65535)
ENTRIES = st.lists(
    st.builds(
        lambda protocol, low, high: Ports(protocol, min(low, high), max(low, high)),
        st.sampled_from(["TCP", "UDP", "ICMP"]),
        st.sampled_from([0, *EDGES]),
        st.sampled_from([0, *EDGES]),
    ),
    max_size=4,
)
NAMED = st.lists(st.tuples(st.sampled_from(["TCP", "UDP"]), st.sampled_from(EDGES)), max_size=3)


@given(ENTRIES, NAMED)
def test_a_class_is_what_no_rule_tells_apart(entries: list[Ports], named: list[tuple[str, int]]) -> None:
    classes = PortClasses([*entries, Ports("TCP", name="web")], named)
    assert classes.intervals(classes.everything) == WHOLE
    told = {
        (protocol, port): (
            protocol,
            port if (protocol, port) in named else 0,
            tuple(each.protocol == protocol and each.low <= port <= each.high for each in entries),
        )
        for protocol in ("TCP", "UDP", "SCTP")
        for port in EDGES
    }
    for one, other in combinations(told, 2):
        assert (classes.at(one[1], one[0]) == classes.at(other[1], other[0])) == (told[one] == told[other])
    for protocol, port in told:
        inside = classes.intervals(classes.at(port, protocol))
        assert [each.protocol for each in inside if each.low <= port <= each.high] == [protocol]


@pytest.mark.parametrize(
    ("entries", "port", "intervals"),
    [
        ([], 80, [(1, 65535)]),
        ([(80, 80)], 80, [(80, 80)]),
        ([(80, 80)], 81, [(1, 79), (81, 65535)]),
        ([(0, 65535)], 80, [(1, 65535)]),
        ([(65535, 65535)], 65535, [(65535, 65535)]),
        ([(65535, 65535)], 1, [(1, 65534)]),
        ([(1, 1)], 1, [(1, 1)]),
        ([(10, 30), (20, 20)], 10, [(10, 19), (21, 30)]),
    ],
)
def test_ports_of_a_class(entries: list[tuple[int, int]], port: int, intervals: list[tuple[int, int]]) -> None:
    classes = PortClasses([Ports("TCP", *each) for each in entries], [])
    assert classes.intervals(classes.at(port, "TCP")) == tuple(Interval("TCP", *each) for each in intervals)


def test_neighbours_are_one_interval_and_protocols_are_not() -> None:
    classes = PortClasses([Ports("TCP", 10, 19), Ports("TCP", 20, 29), Ports("TCP", 31, 40), Ports("UDP", 30, 30)], [])
    chosen = [("TCP", 10), ("TCP", 20), ("TCP", 31), ("UDP", 30)]
    bits = sum(classes.at(port, protocol) for protocol, port in chosen)
    assert classes.intervals(bits) == (Interval("TCP", 10, 29), Interval("TCP", 31, 40), Interval("UDP", 30, 30))
    assert classes.intervals(0) == ()


def test_everything_is_every_class_and_no_more() -> None:
    classes = PortClasses([Ports("TCP", 80, 80)], [])
    each = [classes.at(port, protocol) for port, protocol in ((80, "TCP"), (81, "TCP"), (1, "UDP"), (1, "SCTP"))]
    assert classes.everything == sum(each)


def test_a_named_port_is_a_class_of_its_own_also_the_first() -> None:
    classes = PortClasses([], [("TCP", 1), ("TCP", 80)])
    assert classes.intervals(classes.at(1, "TCP")) == (Interval("TCP", 1, 1),)
    assert classes.intervals(classes.at(80, "TCP")) == (Interval("TCP", 80, 80),)
    assert classes.intervals(classes.at(2, "TCP")) == (Interval("TCP", 2, 79), Interval("TCP", 81, 65535))


@pytest.mark.parametrize(
    ("block", "port"),
    [(32766, 65535), (32767, 1)],  # 32,767 or 32,766 other ports, in three intervals
)
def test_the_ordinary_class_is_that_of_most_ports(block: int, port: int) -> None:
    others = [Ports(p, low, low + 19999) for p in ("UDP", "SCTP") for low in (1, 20001)]
    classes = PortClasses([Ports("TCP", 1, block), Ports("TCP", 50000, 50000), Ports("TCP", 60000, 60000), *others], [])
    assert classes.ordinary == classes.at(port, "TCP")


@pytest.mark.parametrize(
    ("rule", "intervals"),
    [
        (Rule(1, Effect.ALLOW), WHOLE),
        (Rule(1, Effect.ALLOW, ports=(Ports("TCP", 80, 90),)), (Interval("TCP", 80, 90),)),
        (Rule(1, Effect.ALLOW, ports=(Ports("TCP", name="web"),)), (Interval("TCP", 8080, 8080),)),
        # A sender's port that the system gives is any from 32768 to 60999.
        (
            Rule(1, Effect.ALLOW, ports=(Ports("TCP", 80, 90),), source_ports=(Ports("TCP", 1024, 65535),)),
            (Interval("TCP", 80, 90),),
        ),
        (Rule(1, Effect.ALLOW, ports=(Ports("TCP", 80, 90),), source_ports=(Ports("TCP", 1, 1023),)), ()),
        (Rule(1, Effect.ALLOW, not_ports=(Ports("TCP", 1, 65535), Ports("SCTP"))), (Interval("UDP", 1, 65535),)),
    ],
)
def test_ports_that_a_rule_means(rule: Rule, intervals: tuple[Interval, ...]) -> None:
    pod = Endpoint("a/b", ports={("web", "TCP"): frozenset({8080})})
    classes = PortClasses([*rule.ports, *rule.not_ports], [("TCP", 8080)])
    assert classes.intervals(classes.meant(rule, pod)) == intervals


@pytest.mark.parametrize(("interval", "text"), [(("TCP", 80, 80), "TCP/80"), (("UDP", 80, 81), "UDP/80-81")])
def test_an_interval_in_words(interval: tuple[str, int, int], text: str) -> None:
    assert str(Interval(*interval)) == text
