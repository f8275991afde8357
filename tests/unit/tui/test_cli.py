from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest

from content import load
from content.errors import BrokenContentError, Defect, UsageError
from grader.errors import ClusterGoneError, InfrastructureError
from tui import cli
from tui.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path


def failing(error: BaseException) -> click.Command:
    def callback() -> None:
        raise error

    return click.Command("failing", callback=callback)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UsageError("no such lab", remedy="list them"), 2, "error: no such lab\n  -> list them\n"),
        (BrokenContentError([Defect(__import__("pathlib").Path("lab.yaml"), 3, "bad")]), 2, "error: lab.yaml:3: bad\n"),
        (InfrastructureError("no kernel", remedy="buy one"), 3, "error: no kernel\n  -> buy one\n"),
        (ClusterGoneError("gone"), 3, "error: gone\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (click.UsageError("which?"), 2, "Usage"),
    ],
)
def test_errors_become_messages_and_exit_statuses(
    error: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: failing(error))
    assert cli.run(["failing"]) == status
    captured = capsys.readouterr()
    assert captured.err.startswith(said) or said in captured.err
    assert captured.out == ""


def test_a_defect_of_netdojo_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: failing(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.run(["failing"])


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_is_there_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"]) == 0
    assert "Usage: netdojo" in capsys.readouterr().out


def test_hints_are_wrapped(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert cli.run(["lab", "hint", "first-policy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("protect-database (costs 1): ")
    assert len(lines) > 1
    assert max(map(len, lines)) <= 60
    assert (home / "data" / "progress.db").exists()


@pytest.mark.usefixtures("home")
def test_a_lesson_is_read_with_its_title_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["course", "read", "anatomy"]) == 0
    assert capsys.readouterr().out.count("# The anatomy of a NetworkPolicy\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lab", "check"], "which lab? none is running"),
        (["lab", "start", "first-polcy"], "did you mean first-policy?"),
        (["lab", "start", "no/such/folder"], "has no lab.yaml"),
        (["lab", "start", "first-policy", "--on", "kind"], "DOCKER_HOST names /nowhere, which is not there"),
        (["lab", "prepare", "--save", "a", "--load", "b"], "exclude one another"),
        (["lab", "prepare", "--load", "nothing.tar"], "nothing.tar is not there"),
        (["lab", "prepare", "first-policy"], "DOCKER_HOST names /nowhere, which is not there"),
        (["course", "read", "nothing"], "there is no lesson"),
        (["sandbox", "up", "nothing.yaml"], "is not there"),
        (["lab", "status", "--on", "moon"], "moon"),
    ],
)
def test_wrong_use_says_what_to_do(
    arguments: list[str], said: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.setenv("NETDOJO_KIND_BINARY", "true")
    assert cli.run(arguments) in (2, 3)
    assert said in capsys.readouterr().err
    assert not (home / "state").exists()


def test_labs_that_do_not_run_there_are_named_and_nothing_proven_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = load.lab_folders()
    monkeypatch.setattr(load, "lab_folders", lambda *_: {"turn-on": folders["turn-on"]})
    assert cli.run(["author", "test", "--on", "sandbox", "--output", "json"]) == ExitCode.COULD_NOT_RUN
    out, err = capsys.readouterr()
    assert json.loads(out) == {"version": 1, "claims": [], "not_proven": ["turn-on"]}
    assert "turn-on: not proven, it does not run on sandbox" in err
