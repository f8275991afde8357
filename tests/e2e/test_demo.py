"""The first thing that a new user runs, and the life of a lab from the command line, by the real command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Netdojo = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = [pytest.mark.netns, pytest.mark.kubectl]


def processes_of(home: Path) -> list[str]:
    """Command lines of processes that name this home."""
    import pathlib

    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(home) in line:
            found.append(line)
    return found


def test_the_demo_shows_the_matrix_before_and_after_and_a_grade(netdojo: Netdojo, home: Path) -> None:
    ran = netdojo("demo")
    assert ran.returncode == 0, ran.stderr
    for said in ("before", "kubectl apply -f", "created", "after", "What changed", "cleaned up"):
        assert said in ran.stdout
    assert "simulated" not in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert not processes_of(home)
    assert not list((home / "state" / "clusters").glob("*"))


def test_the_demo_as_data(netdojo: Netdojo) -> None:
    ran = netdojo("demo", "--output", "json", NETDOJO_DATAPLANE="model")
    assert ran.returncode == 0, ran.stderr
    data = json.loads(ran.stdout)
    assert data["report"]["held"]
    assert data["report"]["simulated"]
    assert data["before"] != data["after"]


def test_the_life_of_a_lab(netdojo: Netdojo, home: Path) -> None:
    def ok(*arguments: str, status: int = 0) -> str:
        ran = netdojo(*arguments)
        assert ran.returncode == status, f"{arguments}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    try:
        assert "Tasks" in ok("lab", "start", "first-policy")
        assert "ready" in ok("lab", "start", "first-policy")  # twice is once
        assert "ready" in ok("lab", "status")
        before = json.loads(ok("lab", "check", "--output", "json", status=1))
        assert not before["held"]
        assert before["earned"] == 0
        ok("lab", "solution", "first-policy", "--apply")
        assert json.loads(ok("lab", "check", "--output", "json"))["held"]
        assert "<testsuite" in ok("lab", "check", "--output", "junit")
        assert "database" in ok("lab", "explain", "customer -> database:2379")
        told = json.loads(ok("lab", "explain", "customer -> database:2379", "--output", "json"))["lines"]
        assert told[0].endswith("dropped")
        ok("lab", "reset")
        assert not json.loads(ok("lab", "check", "--output", "json", status=1))["held"]
    finally:
        ok("lab", "stop", "first-policy")
    ok("lab", "stop", "first-policy")  # nothing there is fine
    assert "absent" in ok("lab", "status", "first-policy")
    listed = json.loads(ok("lab", "list", "--output", "json"))["labs"]
    assert next(lab for lab in listed if lab["id"] == "first-policy")["finished"]
    assert not processes_of(home)
