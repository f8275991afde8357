"""The API's small languages: patches, selectors, quantities, ages, protobuf."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.sandbox.api import ages, fieldset, kinds, patch, protobuf, quantity, selectors
from labs.sandbox.api.status import ApiError
from labs.sandbox.api.threeway import three_way

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text("abc", min_size=1, max_size=2), JSON, max_size=4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1", "100m"), ("0.5Gi", "512Mi"), ("1000m", "1"), ("1024", "1024"), ("1024Ki", "1Mi"), ("1e3", "1e3"),
        ("2", "2"), ("100M", "100M"), ("0", "0"), ("-1", "-1"), ("1500m", "1500m"), ("1.5", "1500m"),
    ],
)  # fmt: skip
def test_quantities_take_their_canonical_form(text: str, expected: str) -> None:
    assert quantity.canonical(text) == expected


@pytest.mark.parametrize("text", ["", "abc", "1x", "1 Gi", "1e99999999", "9" * 100])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        quantity.parse(text)


@given(st.integers(-(10**6), 10**6), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]))
def test_a_canonical_quantity_is_worth_the_same_and_stays(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    canonical = quantity.canonical(text)
    assert quantity.parse(canonical) == quantity.parse(text)
    assert quantity.canonical(canonical) == canonical
    assert isinstance(quantity.parse(text), Fraction)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (601, "10m"), (10800, "3h"), (11100, "3h5m"),
        (28800, "8h"), (172800, "2d"), (180000, "2d2h"), (691200, "8d"), (63072000, "2y"), (-5, "<invalid>"),
    ],
)  # fmt: skip
def test_ages(seconds: int, shown: str) -> None:
    assert ages.human(seconds) == shown


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        ("a=b", {"a": "b"}, True), ("a==b", {"a": "c"}, False), ("a!=b", {}, True), ("a!=b", {"a": "b"}, False),
        ("a", {"a": ""}, True), ("!a", {"a": "x"}, False), ("a in (b, c)", {"a": "c"}, True),
        ("a in (b,c)", {}, False), ("a notin (b,c)", {}, True), ("a notin (b)", {"a": "b"}, False),
        ("a=b,c!=d", {"a": "b", "c": "d"}, False), ("a>3", {"a": "4"}, True), ("a<3", {"a": "x"}, False),
        ("kubernetes.io/x=y", {"kubernetes.io/x": "y"}, True), ("a=", {"a": ""}, True),
    ],
)  # fmt: skip
def test_label_selectors(selector: str, labels: dict[str, str], selected: bool) -> None:
    assert selectors.labels(selector)(labels) is selected


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a>x", "for 'Gt', 'Lt' operators, the value must be an integer"),
        ("a,", "expected: identifier after ','"),
        ("-a=b", "name part must consist of"),
    ],
)
def test_label_selectors_that_make_no_sense(selector: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        selectors.labels(selector)
    assert message in caught.value.message


@given(st.text("ab=!<>(), in", max_size=12))
def test_any_text_is_a_selector_or_a_bad_request(text: str) -> None:
    try:
        selectors.labels(text)({"a": "b"})
    except ApiError as error:
        assert error.code == 400  # noqa: PT017 - either way is right


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("spec.foo=1", "field label not supported: spec.foo"),
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
    ],
)
def test_field_selectors_that_make_no_sense(selector: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        selectors.fields(selector, kinds.BY_RESOURCE["pods"])
    assert caught.value.message == message


def test_field_selectors() -> None:
    test = selectors.fields("spec.nodeName=n1,metadata.name!=b", kinds.BY_RESOURCE["pods"])
    assert test({"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}})
    assert not test({"metadata": {"name": "b"}, "spec": {"nodeName": "n1"}})
    assert not test({"metadata": {"name": "a"}, "spec": {}})


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_applied_twice_is_applied_once(target: dict[str, Any], given_patch: dict[str, Any]) -> None:
    once = patch.merge(target, given_patch)
    assert patch.merge(once, given_patch) == once


@given(OBJECTS)
def test_an_empty_patch_changes_nothing(target: dict[str, Any]) -> None:
    assert patch.merge(target, {}) == target
    assert patch.strategic(target, {}, "core.v1.ConfigMap") == target


def containers(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "image": name} for name in names]


@pytest.mark.parametrize(
    ("before", "given_patch", "expected"),
    [
        (containers("a"), [{"name": "a", "image": "x"}], [{"name": "a", "image": "x"}]),
        (containers("a"), containers("b"), containers("b", "a")),
        (containers("a", "b"), [{"name": "a", "$patch": "delete"}], containers("b")),
        (containers("a", "b"), [{"$patch": "replace"}, *containers("c")], containers("c")),
        (containers("a"), [{"name": "a", "image": None}], [{"name": "a"}]),
    ],
)
def test_strategic_patches_merge_containers_by_name(
    before: list[Any], given_patch: list[Any], expected: list[Any]
) -> None:
    made = patch.strategic({"spec": {"containers": before}}, {"spec": {"containers": given_patch}}, "core.v1.Pod")
    assert made == {"spec": {"containers": expected}}


def test_strategic_patches_keep_the_order_that_is_asked_for() -> None:
    order = {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "b", "image": "x"}]}
    made = patch.strategic({"spec": {"containers": containers("a", "b")}}, {"spec": order}, "core.v1.Pod")
    assert [item["name"] for item in made["spec"]["containers"]] == ["b", "a"]


def test_a_list_without_a_merge_key_is_replaced() -> None:
    before = {"spec": {"ingress": [{"ports": [{"port": 80}]}]}}
    made = patch.strategic(before, {"spec": {"ingress": [{}]}}, "networking.v1.NetworkPolicy")
    assert made == {"spec": {"ingress": [{}]}}


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ({"a": 1}, 400),
        ([{"op": "test", "path": "/a", "value": 5}], 422),
        ([{"op": "remove", "path": "/nope"}], 422),
        ([{"op": "fly", "path": "/a"}], 422),
        (["x"], 422),
        ([{"op": "add", "path": "/a", "value": 1}] * 10_001, 413),
    ],
)
def test_json_patches_that_do_not_fit(operations: Any, code: int) -> None:
    with pytest.raises(ApiError) as caught:
        patch.json_patch({"a": 1}, operations)
    assert caught.value.code == code


FLAT = st.dictionaries(st.text("abc", min_size=1, max_size=2), st.integers(0, 3), max_size=4)


@given(FLAT, FLAT, FLAT)
def test_a_three_way_merge_keeps_what_others_wrote_and_nothing_else(
    last: dict[str, Any], wanted: dict[str, Any], others: dict[str, Any]
) -> None:
    made = three_way({**others, **last}, last, wanted, "core.v1.ConfigMap")
    assert made == {**{key: value for key, value in others.items() if key not in last}, **wanted}


@given(OBJECTS)
def test_managed_fields_read_as_they_were_written(data: dict[str, Any]) -> None:
    flat = fieldset.flatten({"metadata": {"name": "x"}, "data": data}, "core.v1.ConfigMap")
    assert fieldset.from_json(fieldset.to_json(flat)) == set(flat)


def field(number: int, value: bytes | int) -> bytes:
    """A protobuf field, short enough for one-byte lengths."""
    if isinstance(value, int):
        return bytes([number << 3]) + (bytes([value]) if value < 128 else bytes([value & 127 | 128, value >> 7]))
    return bytes([number << 3 | 2, len(value)]) + value


def envelope(api_version: bytes, kind: bytes, raw: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


def test_protobuf_bodies_are_read() -> None:
    port = field(2, field(1, 0) + field(2, 8080)) + field(1, b"TCP")
    rule = field(1, port)
    spec = field(1, field(1, field(1, b"app") + field(2, b"web"))) + field(2, rule)
    body = envelope(b"networking.k8s.io/v1", b"NetworkPolicy", field(1, field(1, b"np")) + field(2, spec))
    assert protobuf.decode(body, "networking.v1.NetworkPolicy") == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "np"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{"ports": [{"port": 8080, "protocol": "TCP"}]}],
        },
    }


@given(st.binary(max_size=60))
def test_any_bytes_are_protobuf_or_a_bad_request(raw: bytes) -> None:
    for body in (raw, b"k8s\x00" + raw, envelope(b"v1", b"Pod", raw[:100])):
        try:
            protobuf.decode(body, "core.v1.Pod")
        except ApiError as error:
            assert error.code == 400  # noqa: PT017 - either way is right


def test_a_protobuf_number_that_never_ends_is_refused() -> None:
    with pytest.raises(ApiError):
        protobuf.decode(b"k8s\x00" + struct.pack("B", 0xFF) * 20, "core.v1.Pod")
