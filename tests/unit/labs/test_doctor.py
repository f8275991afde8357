from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from labs import doctor, store
from labs.doctor import Examined, Finding
from labs.locks import FileLock
from labs.sandbox import isolation, refusals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

APPARMOR = refusals.explain(
    "network",
    1,
    refusals.Facts(
        linux=True, root=False, container=False, max_user_namespaces=9, userns_clone=1, apparmor_restricts=1
    ),
)


def look(what: str) -> Examined:
    return next(each for each in doctor.examine() if each.what == what)


def test_everything_is_looked_at_and_what_is_not_fine_says_what_to_do(home: Path) -> None:
    del home
    examined = doctor.examine()
    assert len({each.what for each in examined}) == len(examined) >= 8
    assert all(each.detail for each in examined)
    assert all(each.remedies for each in examined if each.finding is not Finding.FINE)


def test_a_refusal_of_the_system_is_told_with_its_remedies(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del home
    monkeypatch.setattr(isolation, "diagnose", lambda: APPARMOR)
    found = look("real packets")
    assert found.finding is Finding.MISSING
    assert "AppArmor" in found.detail
    assert found.remedies == APPARMOR.remedies


def test_no_kubectl(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del home
    monkeypatch.setattr("labs.kubectl.find", lambda: None)
    assert look("kubectl").finding is Finding.MISSING


def test_running_and_killed_clusters_are_told_apart(home: Path) -> None:
    assert look("clusters").finding is Finding.FINE
    for name in ("alive", "dead"):
        store.make_private(store.cluster_folder(name))
    held = FileLock.acquire(store.cluster_folder("alive") / "daemon.lock")
    assert held is not None
    found = look("clusters")
    assert found.finding is Finding.LESS
    assert "running: alive" in found.detail
    assert "ended by force: dead" in found.detail
    held.release()
    assert (home / "state" / "clusters" / "dead").is_dir(), "a doctor changes nothing"


def test_a_home_that_is_a_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NETDOJO_HOME", str(tmp_path / "file" / "below"))
    found = look("folders")
    assert found.finding is Finding.MISSING
    assert any("NETDOJO_HOME" in remedy for remedy in found.remedies)


def test_a_full_disk_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del home
    usage = type("Usage", (), {"free": 1 << 20})()
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert "1 MB" in look("folders").detail


@pytest.mark.parametrize(("size", "finding"), [((60, 15), Finding.LESS), ((120, 40), Finding.FINE)])
def test_a_small_terminal(home: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], finding: Finding) -> None:
    del home
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size(size))
    monkeypatch.setattr("sys.stdout", type("Out", (), {"encoding": "utf-8"})())
    assert doctor._terminal().finding is finding


def test_what_fails_to_answer_is_a_finding(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del home

    def ill() -> Examined:
        raise ZeroDivisionError

    looks: dict[str, Callable[[], Examined]] = {"x": ill}
    monkeypatch.setattr(doctor, "_LOOKS", looks)
    (found,) = doctor.examine()
    assert found.finding is Finding.LESS
    assert "ZeroDivisionError" in found.detail


def test_the_command_gives_data_and_text(home: Path) -> None:
    del home
    from tui.commands.doctor import doctor as command

    as_json = CliRunner().invoke(command, ["--output", "json"])
    data = json.loads(as_json.output)
    assert data["version"] == 1
    assert {each["what"] for each in data["examined"]} >= {"real packets", "kubectl", "folders"}
    as_text = CliRunner().invoke(command, [])
    assert as_text.exit_code == 0
    assert "simulated labs" in as_text.output


def test_kind_is_looked_at_too_and_an_engine_that_is_not_there_is_no_lack(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    answer, reason = doctor.examine_kind()
    assert (answer.what, answer.finding) == (doctor.KIND, Finding.LESS)
    assert "labs run in the sandbox only: DOCKER_HOST names /nowhere" in answer.detail
    assert answer.remedies[0] == "nothing to do, unless you want real clusters, too"
    assert reason.finding is Finding.MISSING
    from tui.commands.doctor import doctor as command

    said = CliRunner().invoke(command, []).output
    assert said.count("DOCKER_HOST names") == 1
    assert "kind clusters" in said
    assert {each["what"] for each in json.loads(CliRunner().invoke(command, ["-o", "json"]).output)["examined"]} >= {
        doctor.KIND,
        "Docker",
    }
