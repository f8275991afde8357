from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tui.commands.consent import let_ask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class AskingBackend:
    name = "kubeconfig"

    def __init__(self, *, by_settings: bool) -> None:
        self.agree: Callable[[Sequence[str]], bool] = lambda _: by_settings


def session(backend: Any) -> Any:
    return SimpleNamespace(backend=backend, lab=SimpleNamespace(id="bank"))


@pytest.mark.parametrize(
    ("yes", "by_settings", "terminal", "typed", "agreed"),
    [
        (True, False, False, "", True),
        (False, True, False, "", True),
        (False, False, False, "y\n", False),  # nobody is there to answer
        (False, False, True, "y\n", True),
        (False, False, True, "n\n", False),
        (False, False, True, "\n", False),
    ],
)
def test_who_agrees(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    yes: bool,
    by_settings: bool,
    terminal: bool,
    typed: str,
    agreed: bool,
) -> None:
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: typed.strip())
    backend = AskingBackend(by_settings=by_settings)
    let_ask(session(backend), yes=yes)
    assert backend.agree(["make a hole"]) is agreed
    assert ("  - make a hole" in capsys.readouterr().err) is (terminal and not (yes or by_settings))


def test_a_backend_without_questions_is_left_as_it_is() -> None:
    backend = SimpleNamespace(name="sandbox")
    let_ask(session(backend), yes=True)
    assert not hasattr(backend, "agree")
