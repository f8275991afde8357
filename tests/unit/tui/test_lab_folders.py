"""A lab that is no shipped one: started from its folder, found by its id afterwards."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from content.errors import BrokenContentError, UsageError
from content.load import lab_folders
from labs.store import LAB_POINTER, folders
from tui.wiring import find_lab

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NETDOJO_HOME", str(tmp_path / "home"))
    folder = tmp_path / "mine"
    shutil.copytree(lab_folders()["first-policy"][0], folder)
    file = folder / "lab.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("id: first-policy", "id: mine"), encoding="utf-8")
    return folder


def started(folder: Path, lab: str) -> None:
    work = folders().data / "work" / lab
    work.mkdir(parents=True)
    (work / LAB_POINTER).write_text(str(folder), encoding="utf-8")


def test_by_its_id_once_it_was_started(mine: Path) -> None:
    with pytest.raises(UsageError, match="no lab 'mine'"):
        find_lab("mine")
    started(mine, "mine")
    assert find_lab("mine") == find_lab(str(mine))


def test_a_shipped_lab_keeps_its_id(mine: Path) -> None:
    started(mine, "first-policy")
    assert find_lab("first-policy").folder == lab_folders()["first-policy"][0]


@pytest.mark.parametrize("pointer", ["", "/nowhere", "\0", "relative"])
def test_a_pointer_that_leads_nowhere_is_none(mine: Path, pointer: str) -> None:
    started(mine, "mine")
    (folders().data / "work" / "mine" / LAB_POINTER).write_text(pointer, encoding="utf-8")
    with pytest.raises(UsageError, match="no lab 'mine'"):
        find_lab("mine")


def test_what_makes_no_sense_is_refused_with_file_and_line(mine: Path) -> None:
    file = mine / "lab.yaml"
    text = file.read_text(encoding="utf-8").replace("summary -> database:2379", "summary -> nobody:2379")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BrokenContentError) as refused:
        find_lab(str(mine))
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "nobody" in each)
    assert f"{file}:{line}: summary -> nobody:2379: there is no workload nobody" in str(refused.value)
