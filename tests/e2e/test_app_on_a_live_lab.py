"""The app as a learner meets it: `netdojo` in a terminal, a live cluster, real kubectl, keys only.

The app runs on a pseudo-terminal, and its screen is read with the terminal that the app itself has for its shell.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tui.widgets.terminal.child import Child, spawn
from tui.widgets.terminal.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.netns, pytest.mark.kubectl, pytest.mark.slow]
LIMIT = 30.0
ENTER, ESCAPE, F2, F3, F5, F6, F7 = "\r", "\x1b", "\x1bOQ", "\x1bOR", "\x1b[15~", "\x1b[17~", "\x1b[18~"
CTRL_K, CTRL_O = "\x0b", "\x0f"

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}, namespace: yaobank}}
spec:
  podSelector: {{matchLabels: {{app: {name}}}}}
  policyTypes: [Ingress]
  ingress:
  - from: [{{podSelector: {{matchLabels: {{app: {client}}}}}}}]
    ports: [{{port: {port}}}]
"""


class Terminal:
    """A terminal with the app in it."""

    def __init__(self, home: Path, columns: int, lines: int) -> None:
        self.size = (columns, lines)
        self.emulator = Emulator(columns, lines, lambda answer: self.child.write(answer.encode()))
        self.statuses: list[int] = []
        self.environment = {**os.environ, "NETDOJO_HOME": str(home), "TERM": "xterm-256color", "HOME": str(home)}
        for name in ("NO_COLOR", "COLUMNS", "LINES"):  # the last two would win over the terminal's own size
            self.environment.pop(name, None)
        self.folder = home
        self.child: Child

    def open(self) -> None:
        self.child = spawn(
            [sys.executable, "-m", "tui"],
            self.environment,
            self.folder,
            self.size,
            on_output=self._take,
            on_exit=self.statuses.append,
        )

    def _take(self, data: bytes) -> None:
        self.emulator.feed(data)
        while not self.emulator.parse(1.0):
            pass
        self.child.resume()

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.emulator.screen.display)

    def type(self, keys: str) -> None:
        self.child.write(keys.encode())

    async def shows(self, *texts: str) -> None:
        end = time.monotonic() + LIMIT
        while not all(text in self.text for text in texts):
            assert time.monotonic() < end, f"the screen never showed {texts}; it shows:\n{self.text}"
            await asyncio.sleep(0.02)

    async def gone(self) -> None:
        end = time.monotonic() + LIMIT
        while not self.statuses:
            assert time.monotonic() < end, f"the app did not end; it shows:\n{self.text}"
            await asyncio.sleep(0.02)


@pytest.fixture(params=[(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Terminal]:
    shown = Terminal(tmp_path, *request.param)
    try:
        yield shown
    finally:
        await shown.child.close()
        await asyncio.to_thread(stop, shown.environment)


def stop(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "tui", "lab", "stop", "first-policy"]
    subprocess.run(command, env=environment, check=False, capture_output=True)


async def test_a_learner_solves_a_lab_with_keys_only(terminal: Terminal, tmp_path: Path) -> None:
    wide = terminal.size[0] >= 100
    tasks = "{0} of 2 tasks" if wide else "{0}/2 tasks"
    terminal.open()
    await terminal.shows("Next to do", "lab 3.1  First policy")

    # The palette finds the lab.
    terminal.type(CTRL_K)
    await terminal.shows("Search")
    terminal.type("lab 3.1: First policy")
    await terminal.shows("lab 3.1: First policy")
    terminal.type(ENTER + ENTER)
    await terminal.shows("● ready", tasks.format(0))

    # The matrix is what traffic does now.
    terminal.type(F3)
    await terminal.shows("customer       ·", "✓!", "ingress of yaobank/")

    # In the shell: kubectl talks to this lab. The cells turn, the task holds.
    terminal.type(F6)
    await terminal.shows("(first-policy) ")
    work = tmp_path / "data" / "work" / "first-policy"
    (work / "database.yaml").write_text(POLICY.format(name="database", client="summary", port=2379))
    terminal.type("kubectl apply -f database.yaml" + ENTER)
    await terminal.shows("networkpolicy.networking.k8s.io/database created")
    await terminal.shows(tasks.format(1))

    # In the editor: the change is predicted, then applied.
    (work / "summary.yaml").write_text(POLICY.format(name="summary", client="customer", port=80))
    terminal.type(F6)
    terminal.type(F3)
    await terminal.shows("✗ *")
    terminal.type("e")
    await terminal.shows("ctrl+o open", "applying this would")  # the editor has the keys
    terminal.type(CTRL_O)
    await terminal.shows("Open which file?", "summary.yaml")
    terminal.type("\x1b[B" + ENTER)
    await terminal.shows("app: summary", "would open 0 and close 2 cells")
    terminal.type(F7)
    await terminal.shows(tasks.format(2))

    # The result, and back: progress is kept.
    terminal.type(F6 + F5)
    await terminal.shows("2 of 2 tasks hold, 10/10 points")
    terminal.type("q")
    await terminal.shows(tasks.format(2))
    terminal.type(ESCAPE)
    await terminal.shows("The lab is running")
    terminal.type("s")
    await terminal.shows("Next to do", "✓ lab 3.1  First policy  (10/10 points")
    terminal.type("q")
    await terminal.gone()
    assert terminal.statuses == [0]

    terminal.open()
    await terminal.shows("✓ lab 3.1  First policy  (10/10 points")
    terminal.type("q")
