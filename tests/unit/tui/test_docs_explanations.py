"""The outputs in docs/explanations.md are what the commands print. NETDOJO_WRITE_DOCS=1 writes them anew."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from grader.lint.finding import CODES
from tui.cli import run

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "explanations.md"
BLOCK = re.compile(r"```console\n\$ netdojo ([^\n]*)\n(.*?)```", re.DOTALL)
LINTS = ROOT / "docs" / "reach.md"


def test_the_page_shows_what_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")

    def printed(match: re.Match[str]) -> str:
        assert run(shlex.split(match[1])) in (0, 1)
        return f"```console\n$ netdojo {match[1]}\n{capsys.readouterr().out}```"

    text = PAGE.read_text(encoding="utf-8")
    fresh = BLOCK.sub(printed, text)
    if os.environ.get("NETDOJO_WRITE_DOCS"):
        PAGE.write_text(fresh, encoding="utf-8")
    assert fresh == PAGE.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) >= 15


def test_the_page_on_forms_lists_every_lint() -> None:
    row = re.compile(r"^\| (ND\d+) \| `([a-z-]+)` \| (\w+) \| (.*) \|$", re.MULTILINE)
    rows = row.findall(LINTS.read_text(encoding="utf-8"))
    assert rows == [(code, each.name, str(each.level), each.reason) for code, each in CODES.items()]
