"""Range arithmetic against sets of numbers."""

from __future__ import annotations

import itertools
from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from grader.kube.model import IPBlock
from labs.sandbox.dataplane.nftables.ranges import merge, of_block, subtract

numbers = st.integers(0, 40)
a_range = st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair)))
some_ranges = st.lists(a_range, max_size=6)


def members(ranges: object) -> set[int]:
    return {n for first, last in ranges for n in range(first, last + 1)}  # type: ignore[attr-defined]


@given(some_ranges)
def test_merging_keeps_the_members_and_leaves_no_two_that_could_be_one(ranges: list[tuple[int, int]]) -> None:
    merged = merge(ranges)
    assert members(merged) == members(ranges)
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(merged))


@given(a_range, some_ranges)
def test_subtracting_is_set_difference(whole: tuple[int, int], holes: list[tuple[int, int]]) -> None:
    left = subtract(whole, holes)
    assert members(left) == members([whole]) - members(holes)
    assert left == merge(left)


def test_a_block_is_its_network_without_its_exceptions() -> None:
    block = IPBlock(ip_network("10.0.0.0/29"), (ip_network("10.0.0.0/31"), ip_network("10.0.0.6/32")))
    base = 10 << 24
    assert of_block(block) == ((base + 2, base + 5), (base + 7, base + 7))
    assert of_block(IPBlock(ip_network("fd00::/126"), (ip_network("fd00::/126"),))) == ()
