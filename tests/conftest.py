"""What every test may lack, said once: groups are skipped with a reason, counted, and may be demanded.

`NETDOJO_MUST_RUN="netns kubectl"` makes the run fail when a test of those groups was skipped.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"
GROUPS = ("root", "netns", "kubectl", "corpora", "docker", "kind")


def _root() -> str:
    return "" if os.geteuid() == 0 else "needs to be root"


@functools.cache
def _netns() -> str:
    code = "from labs.sandbox import isolation; isolation.enter()"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no network namespaces here: {tried.stderr.strip().splitlines()[-1]}"


def _kubectl() -> str:
    from labs import kubectl

    return "" if kubectl.find() else "kubectl was not found"


def _corpora() -> str:
    return "" if CORPORA.is_dir() else f"no corpora at {CORPORA}"


def _docker() -> str:
    return "no test of this group can run without a Docker engine"


_WHY_NOT: dict[str, Callable[[], str]] = {
    "root": _root,
    "netns": _netns,
    "kubectl": _kubectl,
    "corpora": _corpora,
    "docker": _docker,
    "kind": _docker,
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for group, why_not in _WHY_NOT.items():
        if item.get_closest_marker(group) and (reason := why_not()):
            pytest.skip(f"{group}: {reason}")


def _tally(terminal: pytest.TerminalReporter) -> tuple[Counter[str], Counter[str]]:
    ran: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        ran.update(g for report in terminal.stats.get(outcome, []) for g in GROUPS if g in report.keywords)
    skipped.update(g for report in terminal.stats.get("skipped", []) for g in GROUPS if g in report.keywords)
    return ran, skipped


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    yield
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    ran, skipped = _tally(terminal)
    terminal.write_line("")
    for group in GROUPS:
        terminal.write_line(f"group {group}: {ran[group]} ran, {skipped[group]} skipped")
    for group in os.environ.get("NETDOJO_MUST_RUN", "").split():
        if skipped[group] or not ran[group]:
            terminal.write_line(f"group {group} must run here: {ran[group]} ran, {skipped[group]} skipped", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


AS_PLAIN_USER = """
import os, sys
from pathlib import Path
from labs.sandbox.network import netns
uid, gid = os.geteuid(), os.getegid()
netns.unshare(netns.CLONE_NEWUSER)
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"1000 {uid} 1")
Path("/proc/self/gid_map").write_text(f"1000 {gid} 1")
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Run a command as a user without any privilege, whoever we are: in a user namespace in which we are user 1000."""


@pytest.fixture(params=["as we are", pytest.param("plain user", marks=pytest.mark.netns)])
def netdojo(request: pytest.FixtureRequest, home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real `netdojo` command in a home of its own; once as we are, once as a user without privileges."""
    command = [sys.executable, "-m", "tui"]
    if request.param == "plain user":
        command = [sys.executable, "-c", AS_PLAIN_USER, *command]

    def run(*arguments: str, seconds: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "NETDOJO_HOME": str(home), "COLUMNS": "80", **more}
        return subprocess.run(
            [*command, *arguments], env=variables, capture_output=True, text=True, timeout=seconds, check=False
        )

    return run


@pytest.fixture
def corpora() -> Path:
    """The folder of public conformance suites, beside the checkout."""
    return CORPORA


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A netdojo home of the test's own: state, data and settings."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NETDOJO_HOME", str(folder))
    return folder
