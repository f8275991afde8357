"""Verdicts that the specification gives, pair by pair and from sets of endpoints at once.

`sets.txt` has the tables: objects, then arrows between the endpoints of `cast.yaml`.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from grader.reachability.space import PING, Space
from grader.reachability.verdict import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.reachability.world import World

HOSTS = {"partner": [ip_address("198.51.100.7")], "other": [ip_address("192.0.2.9")]}
TABLES = Path(__file__).with_name("sets.txt").read_text(encoding="utf-8")


def tables() -> dict[str, tuple[list[str], list[str]]]:
    found = {}
    for text in re.split(r"^# ", TABLES, flags=re.MULTILINE)[1:]:
        name, rest = text.split("\n", 1)
        objects, arrows = re.split(r"^--\n", rest, flags=re.MULTILINE)
        found[name] = (re.split(r"\n(?! )", objects.strip()), re.split(r"[;\n]\s*", arrows.strip()))
    return found


TABLE = tables()


@pytest.mark.parametrize("name", TABLE)
def test_pairs_and_sets(cast: Callable[..., World], both_agree: Callable[[World, list[str]], None], name: str) -> None:
    texts, arrows = TABLE[name]
    both_agree(cast(*texts, hosts=HOSTS), arrows)


@pytest.mark.parametrize("name", TABLE)
def test_conditions(cast: Callable[..., World], name: str) -> None:
    """What sets say to stand on a condition is what single verdicts say so."""
    world = cast(*TABLE[name][0])
    reach = world.reach()
    for place, destination in enumerate(reach.classes):
        for part in reach.into[place]:
            port = reach.ports.intervals(part.ports)[0]
            for source_place, source in enumerate(reach.classes):
                flow = Flow(source.sample.ref, destination.sample.ref, port.low, port.protocol)
                verdict = world.verdict(flow)
                expected = verdict.allowed and bool(verdict.condition)
                own = source is destination or (source.sample.node and source.sample.node == destination.sample.node)
                assert own or bool(part.conditional >> source_place & 1) is expected, flow


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("name", TABLE)
def test_groups(cast: Callable[..., World], name: str, family: int) -> None:
    """A pair of two groups has the verdict that its endpoints have, at both ends of an interval of ports."""
    world = cast(*TABLE[name][0])
    space = Space([world], family)
    rows = space.open(0)
    assert space.intervals[-1] == PING
    for destination, row in zip(space.groups, rows, strict=True):
        for interval, sources in zip(space.intervals, row, strict=True):
            for source in space.groups:
                pair = space.pair(source, destination, 0)
                counted = pair is not None and not (source.outside and destination.outside)
                expected = counted and all(
                    world.verdict(Flow(*pair, port, interval.protocol, family)).allowed
                    for port in (interval.low, interval.high)
                )
                assert bool(sources >> source.number & 1) is expected, (pair, interval)
