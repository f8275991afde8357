from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tui.commands.consent import let_ask

if TYPE_CHECKING:
    from collections.abc import Sequence


class AskingBackend:
    name = "kubeconfig"

    async def agree(self, lines: Sequence[str]) -> bool:
        raise AssertionError(lines)


def session(backend: Any) -> Any:
    return SimpleNamespace(backend=backend, lab=SimpleNamespace(id="bank"))


@pytest.mark.parametrize(
    ("yes", "terminal", "typed", "agreed"),
    [
        (True, False, "", True),
        (False, False, "y\n", False),  # nobody is there to answer
        (False, True, "y\n", True),
        (False, True, "n\n", False),
        (False, True, "\n", False),
    ],
)
async def test_who_agrees(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    yes: bool,
    terminal: bool,
    typed: str,
    agreed: bool,
) -> None:
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: typed.strip())
    backend = AskingBackend()
    let_ask(session(backend), yes=yes)
    assert await backend.agree(["make a hole"]) is agreed
    assert ("  - make a hole" in capsys.readouterr().err) is (terminal and not yes)


def test_a_backend_without_questions_is_left_as_it_is() -> None:
    backend = SimpleNamespace(name="sandbox")
    let_ask(session(backend), yes=True)
    assert not hasattr(backend, "agree")
