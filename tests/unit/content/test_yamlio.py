from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from content import yamlreader
from content.errors import BrokenContentError
from content.load import SHIPPED
from content.yamlio import LAB_FILE, MANIFESTS, line_of, read_documents, read_manifests, read_text
from content.yamlreader import Limits

SMALL = Limits(size=2000, documents=3, nodes=30, depth=5, scalar=50, aliased=10)

PRINTABLE = st.text(
    st.characters(min_codepoint=32, max_codepoint=0xD7FF, exclude_categories=["Cc", "Cs", "Cn"]), max_size=8
)
KEYS = PRINTABLE.filter(lambda key: not set(key) & set("\u2028\u2029"))
"""To YAML 1.1 these two end a line, and a key is on one line: such a key is refused, with the line."""
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PRINTABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def only_defect(text: str, limits: Limits = SMALL) -> tuple[int, str, str]:
    with pytest.raises(BrokenContentError) as caught:
        read_documents(text, Path("a.yaml"), limits)
    (defect,) = caught.value.defects
    assert defect.file == Path("a.yaml")
    assert defect.remedy
    return defect.line, defect.cause, defect.remedy


@given(VALUES)
def test_json_is_read_as_json_reads_it(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert [document.value for document in read_documents(text)] == [value]


@given(st.text(max_size=200))
def test_any_text_gives_values_or_defects(text: str) -> None:
    with suppress(BrokenContentError):
        json.dumps([document.value for document in read_documents(text)])


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' is given twice"),
        ("a:\n  - [1, 2\nb: 3", 3, "this is no YAML: did not find expected ',' or ']'"),
        ("a:\n\t- 1", 2, "this is no YAML: found character that cannot start any token"),
        ("a: b: c", 1, "mapping values are not allowed"),
        ("a: 'b", 1, "unexpected end of stream"),
        ("x: \x01", 0, "control characters are not allowed"),
        ("a: 1\nb: !!python/object/apply:os.system [id]", 2, "python/object/apply:os.system is not allowed"),
        ("a: !secret x", 1, "the tag !secret is not allowed"),
        ("a: !!int x", 1, "'x' is not of type int"),
        ("? [a, b]\n: c", 1, "a key that is no plain word"),
        ("~: c", 1, "a key that is empty"),
        ("a: &x [*x]", 1, "*x stands for nothing that was complete"),
        ("a: *x", 1, "*x stands for nothing"),
        ("a: &x 1\n---\nb: *x", 3, "*x stands for nothing"),
        ("<<: 5", 1, "<< must name a mapping"),
        ("1\n---\n2\n---\n3\n---\n4", 6, "more than 3 documents"),
        ("[" * 6 + "]" * 6, 1, "nesting deeper than 5"),
        ("- 1\n" * 31, 30, "more than 30 values"),
        ("a: " + "x" * 51, 1, "a text of more than 50 characters"),
        ("- &x [1, 2, 3, 4]\n- *x\n- *x\n- *x", 4, "aliases that expand to more than 10 values"),
        ("- &x [[[1]]]\n- &y [*x]\n- [*y]", 3, "nesting deeper than 5"),
        ("#" * 2001, 0, "larger than 1 KiB"),
    ],
)
def test_defects_have_a_line_and_a_cause(text: str, line: int, cause: str) -> None:
    found_line, found_cause, _ = only_defect(text)
    assert cause in found_cause
    assert found_line == line


def test_every_repeated_key_is_reported() -> None:
    with pytest.raises(BrokenContentError) as caught:
        read_documents("a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert [defect.line for defect in caught.value.defects] == [2, 3]


@pytest.mark.parametrize("limits", [LAB_FILE, MANIFESTS], ids=["lab", "manifests"])
@pytest.mark.parametrize(
    "bomb",
    [
        "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
        "a0: &a0 {x0: 1}\n"
        + "".join(f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}], x{i}: 1}}\n" for i in range(1, 12)),
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 600)),
        "[" * 100_000,
        "- " * 100_000,
        "".join(" " * i + "a:\n" for i in range(500)),
        "{a: " * 100_000,
    ],
    ids=["aliases", "merges", "aliases that nest", "flow depth", "block depth", "indented", "flow mappings"],
)
def test_a_bomb_is_refused_in_little_memory(bomb: str, limits: Limits) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BrokenContentError):
            read_documents(bomb, limits=limits)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 48 * 1024 * 1024


def test_an_alias_is_a_value_of_its_own() -> None:
    (document,) = read_documents("a: &x {b: [1]}\nc: *x\nd: {<<: *x, e: 2}\nf: {<<: [*x], b: 9}")
    assert document.value == {"a": {"b": [1]}, "c": {"b": [1]}, "d": {"b": [1], "e": 2}, "f": {"b": 9}}
    document.value["a"]["b"].append(2)
    assert document.value["c"] == {"b": [1]}


def test_keys_become_text_as_in_json() -> None:
    (document,) = read_documents("80: a\non: b\n'no': c\n1.5: d\n017: e")
    assert document.value == {"80": "a", "true": "b", "no": "c", "1.5": "d", "017": "e"}


def test_manifests_of_a_stream_with_lists_and_empty_documents() -> None:
    text = "# nothing\n---\nkind: A\n---\n---\nkind: List\nitems:\n- kind: B\n-\n  kind: C\n---\nkind: ListMaker\n"
    assert [(value["kind"], line) for value, line in read_manifests(text)] == [
        ("A", 3),
        ("B", 8),
        ("C", 10),
        ("ListMaker", 12),
    ]


def test_manifests_as_kubectl_prints_them_in_json() -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [{"kind": "A"}, {"kind": "B"}]}, indent=4)
    assert [value["kind"] for value, _ in read_manifests(text)] == ["A", "B"]
    compact = json.dumps({"kind": "PodList", "items": [{"kind": "Pod", "url": "a:b/c"}]}, separators=(",", ":"))
    assert read_manifests(compact) == [({"kind": "Pod", "url": "a:b/c"}, 1)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- a\n", "found a list"),
        ("hello", "found the text 'hello'"),
        ("kind: List\nitems: [5]", "found 5"),
        ("kind: List\nitems: x", "found the text 'x'"),
    ],
)
def test_what_is_no_object_is_refused(text: str, found: str) -> None:
    with pytest.raises(BrokenContentError, match=found):
        read_manifests(text)


def test_an_empty_list_has_no_objects() -> None:
    assert read_manifests("kind: List\nitems: []") == read_manifests("kind: List\nitems:") == read_manifests("") == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 2),
        (("a",), 2),
        (("a", 0), 3),
        (("a", 0, "c"), 4),
        (("a", 1, "d", 0), 6),
        (("a", 7), 2),
        (("a", 0, "x"), 3),
        (("z",), 2),
        (("e",), 7),
    ],
)
def test_the_line_of_a_value(path: tuple[str | int, ...], line: int) -> None:
    text = "# top\na:\n  - b: 1\n    c: 2\n  - d:\n      - x\ne: f\n"
    assert line_of(text, path) == line


def test_the_line_in_a_later_document() -> None:
    assert line_of("a: 1\n---\nb: 1\nc: 2\n", ("c",), document=1) == 4
    assert line_of("a: 1\n", ("a",), document=3) == 0
    assert line_of("a: [", ("a", 0)) == 0


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbfkind: A\n")
    assert read_manifests(file) == [({"kind": "A"}, 1)]
    file.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(BrokenContentError, match=r"a\.yaml:2: the text is not UTF-8"):
        read_text(file)
    file.write_bytes(b"a" * (LAB_FILE.size + 1))
    with pytest.raises(BrokenContentError, match="larger than 256 KiB"):
        read_text(file, LAB_FILE)
    with pytest.raises(BrokenContentError, match="No such file"):
        read_text(tmp_path / "missing.yaml")
    with pytest.raises(BrokenContentError, match="directory"):
        read_text(tmp_path)


def test_without_libyaml_the_values_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(SHIPPED.rglob("*.yaml"))
    assert files
    fast = [read_documents(file.read_text(encoding="utf-8")) for file in files[::7]]
    monkeypatch.setattr(yamlreader, "PARSER", yaml.SafeLoader)
    assert [read_documents(file.read_text(encoding="utf-8")) for file in files[::7]] == fast
    with pytest.raises(BrokenContentError, match="nesting deeper than 5"):
        read_documents("[" * 6, limits=SMALL)
