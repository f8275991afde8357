"""Stand-ins for what is behind the app, and waiting for what it shows."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import ModuleType

LIMIT = 15.0


def load_fakes() -> ModuleType:
    """The module of stand-ins; test folders are no packages, so it is loaded by its path, once."""
    name = "netdojo_app_fakes"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("fakes.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def fakes() -> ModuleType:
    return load_fakes()


@pytest.fixture
def services(fakes: ModuleType, tmp_path: Path) -> Any:
    return fakes.FakeServices(tmp_path)


@pytest.fixture
def make_app(fakes: ModuleType, services: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """An app on stand-ins whose shell starts nothing and whose clock stands still."""
    from tui.app import NetdojoApp

    monkeypatch.delenv("NO_COLOR", raising=False)

    def make(**options: Any) -> Any:
        options = {"make_terminal": lambda: fakes.StubTerminal(id="shell"), "clock": lambda: 0.0, **options}
        return NetdojoApp(services, **options)

    return make


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Wait for a condition, with a limit that only a defect reaches."""

    async def wait(condition: Callable[[], object], what: str = "") -> None:
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, f"did not happen within {LIMIT} s: {what or condition}"
            await asyncio.sleep(0.01)

    return wait
