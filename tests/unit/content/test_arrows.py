from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.arrows import ANY, Arrow, ArrowError, Name, Port, parse

A, B = Name("a"), Name("b")
LABELS = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\Z")
NAMES = st.builds(Name, LABELS, st.just("") | LABELS)
SIDES = st.just((ANY,)) | st.lists(NAMES, min_size=1, max_size=3).map(tuple)
PORTS = st.just(Port(0, "ICMP")) | st.builds(Port, st.integers(1, 65535), st.sampled_from(["TCP", "UDP", "SCTP"]))
ARROWS = st.builds(
    Arrow,
    SIDES,
    SIDES,
    st.lists(PORTS, max_size=3).map(tuple),
    st.sampled_from(["pod", "service", "nodeport"]),
    st.none() | NAMES,
)


@given(ARROWS)
def test_written_and_read_again_is_the_same(arrow: Arrow) -> None:
    assert parse(str(arrow)) == arrow


@given(ARROWS)
def test_spaces_do_not_matter(arrow: Arrow) -> None:
    text = str(arrow)
    assert parse(f"  {text.replace(',', ' , ').replace('->', '  ->  ')}\t") == arrow


@given(st.text(max_size=60) | st.text(st.sampled_from("ab.,:->*/ 80udpicmpviaservice"), max_size=40))
def test_any_text_is_an_arrow_or_says_where_not(text: str) -> None:
    try:
        column = 1 if parse(text) else 0
    except ArrowError as error:
        column = error.column
    assert 1 <= column <= len(text) + 1


@pytest.mark.parametrize(
    ("text", "arrow"),
    [
        ("a -> b", Arrow((A,), (B,))),
        ("a->b", Arrow((A,), (B,))),
        ("a -> b:80", Arrow((A,), (B,), (Port(80),))),
        ("a -> b:80/tcp", Arrow((A,), (B,), (Port(80),))),
        ("a,b.x -> *:53/udp,53,icmp", Arrow((A, Name("b", "x")), (ANY,), (Port(53, "UDP"), Port(53), Port(0, "ICMP")))),
        ("a -> b:132/sctp", Arrow((A,), (B,), (Port(132, "SCTP"),))),
        ("a -> b via service", Arrow((A,), (B,), (), "service")),
        (
            "bastion -> b.shop:80 via nodeport seen as bastion",
            Arrow((Name("bastion"),), (Name("b", "shop"),), (Port(80),), "nodeport", Name("bastion")),
        ),
        ("via -> seen:80 via service", Arrow((Name("via"),), (Name("seen"),), (Port(80),), "service")),
    ],
)
def test_arrows(text: str, arrow: Arrow) -> None:
    assert parse(text) == arrow


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("", 1, "a workload's name or *"),
        ("a", 2, "-> or a comma"),
        ("a b", 3, "-> or a comma"),
        ("a - > b", 3, "-> or a comma"),
        ("a ->", 5, "a workload's name or *"),
        ("A -> b", 1, "lower-case letters"),
        ("a_b -> b", 1, "lower-case letters"),
        ("a. -> b", 4, "a namespace"),
        ("a, -> b", 4, "a workload's name"),
        ("* , a -> b", 3, "->"),
        ("a -> b:", 8, "a port from 1 to 65535, or icmp"),
        ("a -> b:0", 8, "a port from 1 to 65535"),
        ("a -> b:65536", 8, "a port from 1 to 65535"),
        ("a -> b:٣", 8, "a port from 1 to 65535"),
        ("a -> b:80/http", 11, "tcp, udp or sctp"),
        ("a -> b:80,", 11, "a port"),
        ("a -> b via pod", 12, "service or nodeport"),
        ("a -> b seen by c", 13, '"as"'),
        ("a -> b seen as", 15, "the name of the endpoint"),
        ("a -> b:80 c", 11, "the end of the arrow"),
        ("a -> b c", 8, "the end of the arrow"),
        ("a" * 501, 500, "at most 500"),
    ],
)
def test_what_is_no_arrow(text: str, column: int, expected: str) -> None:
    with pytest.raises(ArrowError) as caught:
        parse(text)
    assert caught.value.column == column
    assert expected in caught.value.message
