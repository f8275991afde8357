"""The text of Calico's selectors: what is one, and in whole what is said of what is none.

Cases by libcalico-go `lib/selector/tokenizer` and `lib/selector/parser`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from content.errors import BrokenContentError
from grader.calico.labels import of_namespaces
from grader.calico.selectors import MAX_DEPTH, SelectorError, parse_selector, uses_global

if TYPE_CHECKING:
    from collections.abc import Callable

BEGINNING = "expected a label, has(), all(), ! or (, found"


def nested(depth: int) -> str:
    return "(" * depth + "has(a)" + ")" * depth


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a == 'x' b", "expected && or ||, found 'b' at position 10"),
        ("a == 'x')", "expected && or ||, found ')' at position 9"),
        ("a == 'x' 'y'", "expected && or ||, found 'y' at position 10"),
        ("has(a) || has(b) has(c)", "expected && or ||, found 'c' at position 18"),
        ("(a == 'x'", "expected ), found the end at position 10"),
        ("(a == 'x'}", "expected ), found '}' at position 10"),
        ("(a == 'x' ')'", "expected ), found ')' at position 11"),
        ("{a == 'x')", f"{BEGINNING} '{{' at position 1"),
        (") == 'x')", f"{BEGINNING} ')' at position 1"),
        ("'('has(a))", f"{BEGINNING} '(' at position 1"),
        ("a == 'x' && == 'y'", f"{BEGINNING} '==' at position 13"),
        ("!", f"{BEGINNING} the end at position 2"),
        ("a in 'x'", "expected {, found 'x' at position 6"),
        ("a in", "expected {, found the end at position 5"),
        ("a in {'x' 'y'}", "expected }, found 'y' at position 11"),
        ("a in {'x'", "expected }, found the end at position 10"),
        ("a in {,}", "expected }, found ',' at position 7"),
        ("a in {'x', b}", "expected }, found 'b' at position 12"),
        ("a", "expected an operator after label 'a', found the end at position 2"),
        ("a > 'x'", "unexpected '>' at position 3"),
        ("a == 'x", "a string without its closing quote at position 6"),
        ('a == "x', "a string without its closing quote at position 6"),
        ("a == 'x' && \n b == 'y'", r"unexpected '\n' at position 13"),
        (nested(MAX_DEPTH + 1), f"too many nested brackets, found 'a' at position {MAX_DEPTH + 2}"),
        (f"(has(a)) && {nested(MAX_DEPTH + 1)}", "too many nested brackets, found 'a' at position 214"),
    ],
)
def test_what_is_said_of_what_is_no_selector(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_selector(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("X == 'x'", 'X == "x"'),
        ("a == 'x' && X!='x'", '(a == "x" && X != "x")'),
        ("has(\na\t)", "has(a)"),
        ("has(\r a\f)", "has(a)"),
        ("all(\n )", "all()"),
        ("global( )", "global()"),
        ("a not\nin {'x'}", 'a not in {"x"}'),
        ("a notin{'x',}", 'a not in {"x"}'),
        ("a starts\n with 'x'", 'a starts with "x"'),
        ("a startswith'x'", 'a starts with "x"'),
        ("a ends\twith 'x'", 'a ends with "x"'),
        ("a contains'x'", 'a contains "x"'),
        ("a in {'y', \"x\", 'y'}", 'a in {"x", "y"}'),
        ("!!!has(a)", "!has(a)"),
        ("!(!has(a) || !has(b))", "!(!has(a) || !has(b))"),
        ("(((has(a))))", "has(a)"),
        ("a == '\"' && b == \"'\"", "(a == '\"' && b == \"'\")"),
        (nested(MAX_DEPTH), "has(a)"),
        (" && ".join([nested(1)] * (MAX_DEPTH + 1)), f"({' && '.join(['has(a)'] * (MAX_DEPTH + 1))})"),
        (f"{nested(2)} || {nested(MAX_DEPTH)}", "(has(a) || has(a))"),
        ("", "all()"),
    ],
)
def test_what_a_selector_means_in_one_spelling(text: str, meant: str) -> None:
    assert str(parse_selector(text)) == meant


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("global()", True),
        ("global( \t)", True),
        ("!global()", True),
        ("has(a) || (b == 'x' && global())", True),
        ("all()", False),
        ("has(global)", False),
        ("!a in {'global()'}", False),
        ("has(a) && !has(b)", False),
    ],
)
def test_whether_global_occurs(text: str, used: bool) -> None:
    assert uses_global(parse_selector(text)) is used


def test_global_with_spaces_in_its_brackets_is_no_namespaced_endpoint() -> None:
    assert str(of_namespaces(parse_selector("global( )"))) == "!has(projectcalico.org/namespace)"


@pytest.mark.parametrize("text", ["\n", "\t\n", "X", " XX "])
def test_a_selector_of_other_than_spaces_and_tabs_is_not_none(parsed: Callable[..., Any], text: str) -> None:
    with pytest.raises(BrokenContentError, match=r"spec\.selector: Invalid value: .*: invalid selector: "):
        parsed(f"gnp a {{selector: {json.dumps(text)}}}")


@pytest.mark.parametrize("text", ["", " ", "\t "])
def test_a_selector_of_spaces_and_tabs_is_none(parsed: Callable[..., Any], text: str) -> None:
    (policy,) = parsed(f"gnp a {{selector: {json.dumps(text)}}}").calico_policies
    assert policy.selector is None
