from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labs.kubeconfig import journal
from labs.kubeconfig.journal import Journal
from labs.kubeconfig.scope import Ref, Scope, scope

if TYPE_CHECKING:
    from pathlib import Path

WIDE = {("", "Namespace"), ("projectcalico.org", "GlobalNetworkPolicy")}
SHOP = Ref("v1", "Pod", "web", "shop")


def thing(kind: str, name: str, space: str = "", api: str = "v1") -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name} | ({"namespace": space} if space else {})}


@pytest.mark.parametrize(
    ("objects", "own", "found"),
    [
        ([thing("Namespace", "shop"), thing("Pod", "web", "shop")], (), Scope(("shop",))),
        ([thing("Pod", "web", "shop"), thing("Namespace", "shop")], (), Scope(("shop",))),
        ([thing("Pod", "web", "shop")], (), Scope((), (SHOP,))),
        ([thing("Pod", "web", "shop")], ("shop",), Scope()),
        ([thing("Pod", "web")], ("lab",), Scope()),
        ([thing("Pod", "web")], (), Scope((), (Ref("v1", "Pod", "web", "lab"),))),
        (
            [thing("GlobalNetworkPolicy", "all", "shop", "projectcalico.org/v3")],  # the namespace says nothing there
            ("shop",),
            Scope((), (), (Ref("projectcalico.org/v3", "GlobalNetworkPolicy", "all"),)),
        ),
    ],
)
def test_what_objects_touch(objects: list[dict[str, Any]], own: tuple[str, ...], found: Scope) -> None:
    assert scope(objects, "lab", WIDE, own) == found


KNOWN = Journal("bank", "play", "uid-1", "home", ("shop",), (SHOP,), "agents", "shop", canary=True, ready=True)


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert journal.read(tmp_path) is None
    KNOWN.write(tmp_path)
    assert journal.read(tmp_path) == KNOWN
    assert (tmp_path / journal.FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "text", ["", "{}", '{"version": 1}', '{"version": 1, "backend": "kubeconfig", "objects": [3], "namespaces": []}']
)
def test_what_is_no_journal_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / journal.FILE).write_text(text, encoding="utf-8")
    assert journal.read(tmp_path) is None


def test_only_what_is_the_journals_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    KNOWN.write(folder)
    (folder / "work.txt").write_text("mine", encoding="utf-8")
    journal.remove(folder)
    assert [path.name for path in folder.iterdir()] == ["work.txt"]
