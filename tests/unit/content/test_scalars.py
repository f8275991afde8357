from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.scalars import resolve, tagged

PLAIN: dict[str, object] = {
    "": None, "~": None, "null": None, "nUll": "nUll",
    "true": True, "Yes": True, "on": True, "OFF": False, "no": False, "y": "y", "n": "n",
    "0": 0, "80": 80, "-5": -5, "+5": 5, "1_000": 1000,
    "0x1F": 31, "0b101": 5, "0o17": 15, "017": 15, "08": 8.0, "0x": "0x", "0b_": "0b_",
    "1.5": 1.5, ".5": 0.5, "1.": 1.0, "1e3": 1000.0, "-1E-2": -0.01, "-": "-", ".": ".",
    "20:21": "20:21", "2026-11-24": "2026-11-24", "1.2.3": "1.2.3", "10.0.0.0/8": "10.0.0.0/8",
    "1" * 65: "1" * 65, "fe80::1": "fe80::1", "1h": "1h",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), PLAIN.items())
def test_plain_scalars_mean_what_kubectl_reads(text: str, value: object) -> None:
    found = resolve(text)
    assert (type(found), found) == (type(value), value)


@given(st.text(st.sampled_from("0123456789abcdefxoXB_+-.eE:~ny"), max_size=70))
def test_no_text_is_too_strange(text: str) -> None:
    found = resolve(text)
    assert not (isinstance(found, float) and math.isnan(found))


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [("str", "80", "80"), ("int", "80", 80), ("float", "2", 2.0), ("bool", "yes", True), ("null", "", None)],
)
def test_tags_of_json_types(tag: str, text: str, value: object) -> None:
    assert tagged(f"tag:yaml.org,2002:{tag}", text) == value


@pytest.mark.parametrize(
    ("tag", "text"), [("int", "x"), ("int", "true"), ("bool", "1"), ("null", "x"), ("binary", "aGk=")]
)
def test_other_tags_are_refused(tag: str, text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        tagged(f"tag:yaml.org,2002:{tag}", text)
