"""The store: versions, order, history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.sandbox.store import ExpiredError, Store


def thing(name: str, namespace: str = "a", **more: str) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": namespace}, **more}


def test_every_write_has_a_version_of_its_own() -> None:
    store = Store()
    first = store.put("pods", thing("x"))
    second = store.put("pods", thing("x", phase="new"))
    last = store.remove("pods", "a", "x")
    assert last is not None
    versions = [int(item["metadata"]["resourceVersion"]) for item in (first, second, last)]
    assert versions == sorted(set(versions))
    assert versions[-1] == store.version
    assert store.get("pods", "a", "x") is None


def test_what_was_given_to_a_reader_does_not_change() -> None:
    store = Store()
    before = store.put("pods", thing("x"))
    copy = dict(before)
    store.put("pods", thing("x", phase="new"))
    assert before == copy


def test_a_list_has_the_order_of_a_real_servers_keys() -> None:
    store = Store()
    for namespace, name in (("shop", "b"), ("shop-2", "a"), ("shop", "a")):
        store.put("pods", thing(name, namespace))
    listed = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in store.list("pods")]
    assert listed == [("shop-2", "a"), ("shop", "a"), ("shop", "b")]
    assert len(store.list("pods", "shop")) == 2


def test_history_tells_what_came_after_and_says_when_it_forgot() -> None:
    store = Store(window=3)
    versions = [int(store.put("pods", thing(f"p{n}"))["metadata"]["resourceVersion"]) for n in range(5)]
    assert [change.version for change in store.since(versions[2], "pods")] == versions[3:]
    assert list(store.since(store.version, "pods")) == []
    with pytest.raises(ExpiredError, match="too old resource version: 1"):
        store.since(1, "pods")


def test_subscribers_hear_of_additions_changes_and_ends_until_they_stop() -> None:
    store = Store()
    heard: list[tuple[str, bool]] = []
    stop = store.subscribe(lambda change: heard.append((change.type, change.before is not None)))
    store.put("pods", thing("x"))
    store.put("pods", thing("x", phase="new"))
    store.remove("pods", "a", "x")
    stop()
    store.put("pods", thing("y"))
    assert heard == [("ADDED", False), ("MODIFIED", True), ("DELETED", True)]


def test_a_snapshot_can_be_applied_from_top_to_bottom_and_leaves_out_what_decides_no_traffic() -> None:
    store = Store()
    for resource in ("networkpolicies.networking.k8s.io", "services", "pods", "secrets", "namespaces", "nodes"):
        store.put(resource, thing(resource))
    names = [item["metadata"]["name"] for item in store.snapshot()]
    assert names == ["nodes", "namespaces", "pods", "services", "networkpolicies.networking.k8s.io"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_replaying_the_history_gives_the_objects(writes: list[tuple[str, bool]]) -> None:
    store = Store()
    for name, keep in writes:
        if keep:
            store.put("pods", thing(name))
        else:
            store.remove("pods", "a", name)
    replayed: dict[str, object] = {}
    for change in store.since(1, "pods"):
        if change.type == "DELETED":
            del replayed[change.object["metadata"]["name"]]
        else:
            replayed[change.object["metadata"]["name"]] = change.object
    assert list(dict(sorted(replayed.items())).values()) == store.list("pods")
