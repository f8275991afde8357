"""The quick way through YAML against the careful one: the same values and lines, or the same defects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from content.errors import BrokenContentError
from content.yamlio import MANIFESTS, read_manifests, read_quickly
from content.yamlplain import NotPlain, PlainReader
from content.yamlreader import Limits

FILE = Path("a.yaml")
WORDS = ["web", "8080", "true", "no", "~", "1.5", "0x10", "20:21", "a b", "a: b", "#c", "", "-", "- x", "{}", "x ", "é"]
KEYS = ["app", "kind", "items", "labels", "k8s.io/name", "on", "80", "a b"]
VALUES = st.recursive(
    st.sampled_from([*WORDS, 1, True, None, 2.5, {}, []]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=10,
)
DOCUMENTS = st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4), min_size=1, max_size=4)


def outcome(text: str, *, shared: bool) -> Any:
    try:
        return read_manifests(text, file=FILE, shared=shared)
    except BrokenContentError as error:
        return error.defects


def agree(text: str) -> None:
    careful, quick = outcome(text, shared=False), outcome(text, shared=True)
    assert repr(quick) == repr(careful)


@given(DOCUMENTS, st.sampled_from([None, False]), st.integers(1, 4))
def test_what_is_dumped(documents: list[Any], flow: bool | None, indent: int) -> None:
    agree(yaml.safe_dump_all(documents, default_flow_style=flow, indent=indent, explicit_start=True))


LINES = [
    "a: 1",
    "b:",
    "  c: x",
    "  - d",
    "- e: 1",
    "  - f: 2",
    "    g: 3",
    "  g: 'q'",
    "items:",
    "- kind: Pod",
    "  metadata:",
    "kind: List",
    "---",
    "--- # next",
    "...",
    "%YAML 1.1",
    "",
    "  # comment",
    "a: {b: [1, 2]}",
    "a: {b: 1, b: 2}",
    "a: [1",
    "  2]",
    "a: |",
    "  text",
    'a: "x',
    '  y"',
    "a: &x 1",
    "b: *x",
    "<<: {a: 1}",
    "a: b: c",
    "word",
    "word:",
    ": x",
    "-",
    "- ",
    "a:  two",
    "a: two ",
    "a: x #y",
    "a: x#y",
    "a:\tb",
    "? a",
    "a: !!str 1",
    "   h: 1",
    "\t- x",
    "é: 1",
    "a: é",
    "true: 1",
    "null: 1",
    "a:b",
    "- - x",
    "-x: 1",
    "a: -",
    "a: ,",
    "a: }",
    "a: '",
    "a: ''",
    "a: a'b",
    "a: \x07",
    "a: b\u2028c: d",
    "a: b\r",
]


@given(st.lists(st.sampled_from(LINES), max_size=9))
def test_lines_in_any_order(lines: list[str]) -> None:
    agree("\n".join(lines) + "\n")


@given(st.lists(st.sampled_from(LINES), max_size=4), st.data())
def test_a_change_of_one_character(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join(["apiVersion: v1", "items:", "- a: 1", "  b:", "  - c: 2", "    d: [x]", *lines, "kind: List"])
    at = data.draw(st.integers(0, len(text) - 1))
    agree(text[:at] + data.draw(st.sampled_from(["", " ", "\n", "-", ":", "#", "x", '"', "\n---\n"])) + text[at + 1 :])


MANIFEST = """\
# Source: chart/pod.yaml

apiVersion: v1
kind: Pod
metadata:
  labels: {app: web}
  name: web-1
spec:
  containers:
  - name: c
    ports:
    - containerPort: 80
---
apiVersion: v1
kind: Pod
metadata:
  labels: {app: web}
  name: web-2
spec:
  containers:
  - name: c
    ports:
    - containerPort: 80
---
apiVersion: v1
items:
- kind: A
  data: &x 1
- kind: B
kind: List
---
apiVersion: v1
items:
- kind: C
- kind: D
  e: 1
- kind: E
kind: List
"""


def test_lines_and_shared_parts() -> None:
    found = read_manifests(MANIFEST, shared=True)
    assert found == read_manifests(MANIFEST)
    assert [line for _, line in found] == [3, 14, 27, 29, 34, 35, 37]
    (first, _), (second, _), *_ = found
    assert first["spec"] is second["spec"]
    assert first["metadata"]["labels"] is second["metadata"]["labels"]


@pytest.mark.parametrize(
    "text",
    ["a: &x 1", "a: *x", "a: !t 1", "a: |\n  b", "a: 'b\n  c'", "a: b\n  c", "a: \\n: b", '"a": 1', "a: b # c", "- a"],
)
def test_what_is_left_to_the_other_reader(text: str) -> None:
    with pytest.raises(NotPlain):
        PlainReader().document(text)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(size=100, documents=2, nodes=100, depth=9, scalar=9, aliased=0),
        Limits(size=100, documents=9, nodes=8, depth=9, scalar=9, aliased=0),
    ],
)
def test_limits_hold(limits: Limits) -> None:
    text = "a: 1\n---\nb: 2\n---\nc: 3\n"
    assert read_quickly(text, FILE, MANIFESTS) is not None
    assert read_quickly(text, FILE, limits) is None


def test_what_is_remembered_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("content.yamlplain.REMEMBERED", 50)
    text = "\n---\n".join(f"a:\n  b: x{number}\n  c:\n  - d: y{number}" for number in range(200))
    assert read_manifests(text, shared=True) == read_manifests(text)
