"""The stand-ins of the unit tests, for pictures."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture
def fakes() -> ModuleType:
    name = "netdojo_app_fakes"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "unit" / "tui" / "fakes.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def make_app(fakes: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An app whose clock stands still, whose shell shows fixed text, and whose cursors do not blink."""
    from textual.widgets import TextArea

    from tui.app import NetdojoApp
    from tui.widgets import editor

    monkeypatch.delenv("NO_COLOR", raising=False)
    # The grammars are an extra: pictures are the same with and without them.
    monkeypatch.setattr(editor, "has_grammar", lambda: False)
    monkeypatch.setattr(TextArea.cursor_blink, "_default", False)

    def make(lab: str = "", **settings: Any) -> Any:
        services = fakes.FakeServices(tmp_path, **settings)
        return NetdojoApp(
            services, clock=lambda: 0.0, make_terminal=lambda: fakes.StubTerminal(id="shell"), open_lab=lab
        )

    return make
