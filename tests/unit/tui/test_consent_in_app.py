"""In the app, too, a lab asks before it touches what is not its own on a cluster of the learner's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from textual.widgets import Static

from tui.screens.choice import Choice
from tui.screens.lab import LabScreen

pytestmark = pytest.mark.slow  # the whole app is drawn


@pytest.mark.parametrize(("key", "agreed"), [("y", True), ("n", False), ("enter", False), ("escape", False)])
async def test_the_learner_agrees_or_does_not(make_app: Any, services: Any, until: Any, key: str, agreed: bool) -> None:
    session = services.session(services.courses()[0].chapters[0].labs[0])
    session.backend = SimpleNamespace(name="kubeconfig", agree=None)
    answers: list[bool] = []

    async def start(_progress: Any) -> Any:
        answers.append(await session.backend.agree(["use the context prod", "make Tier security"]))
        return await session.status()

    session.start = start
    app = make_app(open_lab="default-deny")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: isinstance(app.screen, Choice))
        said = str(app.screen.query_one(Static).render())
        assert said == (
            "On your cluster, outside its own namespaces, default-deny would\n"
            "- use the context prod\n- make Tier security"
        )
        assert answers == []
        await pilot.press(key)
        await until(lambda: answers)
        assert answers == [agreed]
        await until(lambda: isinstance(app.screen, LabScreen))
