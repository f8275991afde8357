from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from content.model import LabSpec
from labs import places, store
from labs.locks import FileLock

if TYPE_CHECKING:
    from pathlib import Path

HAS = {"sandbox": frozenset({"multi-node", "hosts"}), "kind": frozenset({"multi-node", "ebpf"})}
ALL = ("sandbox", "kind", "kubeconfig")


def spec(backends: tuple[str, ...] = ALL, needs: tuple[str, ...] = ()) -> LabSpec:
    return LabSpec.model_construct(backends=backends, needs=needs)


@pytest.mark.parametrize(
    ("wanted", "setting", "stands", "lab", "chosen"),
    [
        pytest.param("auto", "auto", (), spec(), "sandbox", id="the sandbox unless asked otherwise"),
        pytest.param("kind", "auto", (), spec(), "kind", id="as asked"),
        pytest.param("kind", "sandbox", ("sandbox",), spec(), "kind", id="asked wins over all"),
        pytest.param("auto", "kind", (), spec(), "kind", id="one setting for all labs"),
        pytest.param("auto", "auto", ("kind",), spec(), "kind", id="found where it runs"),
        pytest.param("auto", "kind", ("sandbox",), spec(), "sandbox", id="found, whatever is set"),
        pytest.param("auto", "kind", ("sandbox", "kind"), spec(), "kind", id="runs twice: the setting's"),
        pytest.param("auto", "auto", (), spec(needs=("ebpf",)), "kind", id="kind for a lab that needs it"),
        pytest.param("auto", "auto", (), spec(needs=("hosts",)), "sandbox", id="the sandbox has it"),
        pytest.param("auto", "auto", (), spec(backends=("kind",)), "kind", id="kind for a lab that runs only there"),
        pytest.param("auto", "auto", (), spec(needs=("ipv6",)), "sandbox", id="nobody has it: the first says so"),
        pytest.param("auto", "auto", (), spec(backends=("kubeconfig",)), "kubeconfig", id="nowhere else"),
    ],
)
def test_where_a_lab_runs(wanted: str, setting: str, stands: tuple[str, ...], lab: LabSpec, chosen: str) -> None:
    assert places.choose(lab, wanted, setting, stands, HAS.__getitem__) == chosen


def test_nobody_is_asked_for_what_a_lab_does_not_need() -> None:
    def ask(_: str) -> frozenset[str]:
        raise AssertionError

    assert places.choose(spec(), "auto", "auto", (), ask) == "sandbox"


def test_a_lab_is_found_where_its_folder_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del home
    monkeypatch.setattr(places, "registry", SimpleNamespace(names=lambda: ALL))
    assert places.standing("first-policy") == ()
    store.make_private(store.cluster_folder("first-policy", "kind"))
    store.make_private(store.cluster_folder("first-policy"))
    assert places.standing("first-policy") == ("kind",), "a sandbox without its process is none"
    held = FileLock.acquire(store.cluster_folder("first-policy") / "daemon.lock")
    assert held is not None
    assert places.standing("first-policy") == ("sandbox", "kind")
    assert places.clusters() == (("first-policy", "kind"), ("first-policy", "sandbox"))
    held.release()
