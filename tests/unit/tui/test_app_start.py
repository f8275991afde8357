"""What decides whether the app starts, and how keys reach it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from tui import app
from tui.escape import keep_escape


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    size = {"columns": 80, "lines": 24}
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1, raising=False)
    monkeypatch.setattr(os, "get_terminal_size", lambda _fd: os.terminal_size((size["columns"], size["lines"])))
    monkeypatch.setenv("TERM", "xterm")
    return size


@pytest.mark.usefixtures("terminal")
def test_a_terminal_is_enough() -> None:
    assert app.can_run() == ""


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_for_plain_text_is_not(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setenv("TERM", term)
    assert "plain text" in app.can_run()


@pytest.mark.parametrize(("columns", "lines"), [(39, 24), (80, 9)])
def test_a_tiny_one_is_not(terminal: Any, columns: int, lines: int) -> None:
    terminal.update(columns=columns, lines=lines)
    assert f"{columns}x{lines}" in app.can_run()


@pytest.mark.usefixtures("terminal")
def test_a_pipe_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert "not a terminal" in app.can_run()


def keys(text: str) -> list[str]:
    from textual._xterm_parser import XTermParser

    parser = XTermParser()
    return [event.key for event in (*parser.feed(text), *parser.tick(), *parser.feed("")) if hasattr(event, "key")]


def test_escape_in_front_of_punctuation_is_kept() -> None:
    keep_escape()
    keep_escape()
    assert keys("\x1b:") == ["escape", "colon"]
    assert keys("\x1bx") == ["alt+x"]
    assert keys("\x1b[A") == ["up"]
    assert keys("a:") == ["a", "colon"]


def test_the_app_loads_no_backend_and_no_test() -> None:
    names = ("pyroute2", "aiohttp", "kubernetes", "docker", "pytest")
    code = f"import sys, tui.app; print(*(name for name in {names} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
