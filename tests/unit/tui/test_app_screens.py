"""Home, lessons, quiz, palette, help: driven by keys."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events
from textual.command import CommandPalette
from textual.widgets import OptionList, Static, Tree

from tui.screens.help import Page
from tui.screens.home import Home
from tui.screens.lab import LabScreen
from tui.screens.lesson import LessonScreen
from tui.screens.quiz import QuizScreen

pytestmark = pytest.mark.slow  # the whole app is drawn


def text_of(screen: Any, selector: str) -> str:
    return str(screen.query_one(selector, Static).render())


def labels(screen: Any) -> list[str]:
    tree = screen.query_one("#map", Tree)
    return [str(leaf.label) for branch in tree.root.children for leaf in branch.children]


async def test_home_shows_the_course_with_marks_and_the_machine(make_app: Any, services: Any, until: Any) -> None:
    services.progress.read.add("judged")
    app = make_app()
    async with app.run_test(size=(120, 40)):
        assert labels(app.screen) == [
            "✓ lesson 3.1  How a packet is judged  (6 min)",
            "○ lesson 3.2  Selectors  (5 min)",
            "○ Quiz: Network policy",
            "○ lab 3.1  Default deny  (0/20 points, 15 min)",
        ]
        await until(lambda: "sandbox ready" in text_of(app.screen, "#machine"))
        assert "Docker is not needed" in text_of(app.screen, "#machine")
        tree = app.screen.query_one("#map", Tree)
        await until(lambda: tree.cursor_node.data is not None)
        assert tree.cursor_node.data.title == "Selectors"
        assert "about 5 minutes" in text_of(app.screen, "#details-text")


async def test_a_machine_that_cannot_run_labs_says_what_to_do(make_app: Any, services: Any, until: Any) -> None:
    from grader.errors import NotCapableError

    async def machine() -> None:
        raise NotCapableError("no user namespaces", remedy="sudo sysctl …")

    services.machine = machine
    app = make_app()
    async with app.run_test(size=(80, 24)):
        await until(lambda: "✗ no user namespaces" in text_of(app.screen, "#machine"))
        assert "sudo sysctl" in text_of(app.screen, "#machine")


async def test_a_lesson_counts_as_read_at_its_end_only(make_app: Any, services: Any, until: Any) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, LessonScreen))
        await until(lambda: len(app.screen.query("Markdown")) >= 2)
        await pilot.pause()
        assert "judged" not in services.progress.read
        mounted = len(app.screen.query("Markdown"))
        assert mounted < 9, "the whole lesson was mounted before it was seen"
        for _ in range(40):
            await pilot.press("space")
            if "judged" in services.progress.read:
                break
            await pilot.pause()
        await until(lambda: "judged" in services.progress.read)
        assert "✓ read" in text_of(app.screen, "#title")
        await pilot.press("n")
        await until(lambda: "Selectors" in text_of(app.screen, "#title"))
        await until(lambda: "selectors" in services.progress.read)
        await pilot.press("p")
        await until(lambda: "How a packet" in text_of(app.screen, "#title"))
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, Home))
        await until(lambda: labels(app.screen)[1].startswith("✓"))


async def test_a_quiz_explains_and_scores(make_app: Any, until: Any) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_entry(app.entries[2])
        await until(lambda: isinstance(app.screen, QuizScreen) and app.screen.query("#question"))
        await pilot.press("down", "enter")
        prompts = [str(option.prompt) for option in app.screen.query_one(OptionList).options]
        assert "✓ right: no policy isolates it" in prompts[0]
        assert "✗ wrong: a policy has to select it first" in prompts[1]
        assert "Not quite" in text_of(app.screen, "#outcome")
        await pilot.press("enter")
        await pilot.press("enter")
        assert "Pick with Space first" in text_of(app.screen, "#outcome")
        await pilot.press("space", "down", "space", "enter")
        assert "Right." in text_of(app.screen, "#outcome")
        await pilot.press("enter")
        assert "1 of 2 right" in text_of(app.screen, "#question")
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, Home))
        await until(lambda: labels(app.screen)[2] == "◐ Quiz: Network policy  (1/2 right)")


@pytest.mark.parametrize(
    ("query", "screen"), [("default", LabScreen), ("packet judged", LessonScreen), ("quiz", QuizScreen)]
)
async def test_the_palette_finds_everything(make_app: Any, until: Any, query: str, screen: type) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+k")
        await until(lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*(key if key != " " else "space" for key in query))
        options = app.screen.query_one(OptionList)
        await until(lambda: options.option_count == 1)
        await pilot.press("enter")
        if not isinstance(app.screen, screen):
            await pilot.press("enter")
        await until(lambda: isinstance(app.screen, screen))


async def test_a_theme_is_kept(make_app: Any, services: Any) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)):
        assert app.theme == "dark"
        names = [command.name for command in app.commands()]
        assert {"Theme: dark", "Theme: light", "Theme: contrast", "Help", "Quit"} <= set(names)
        next(command for command in app.commands() if command.name == "Theme: light").run()
        assert app.theme == "light"
        assert services.settings.theme == "light"


async def test_f1_helps_everywhere(make_app: Any, until: Any) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        for entry in (None, *app.entries[1:]):
            if entry is not None:
                app.open_entry(entry)
                await pilot.pause()
            await pilot.press("f1")
            await until(lambda: isinstance(app.screen, Page))
            await pilot.press("escape")
            await until(lambda: not isinstance(app.screen, Page))


async def test_q_quits(make_app: Any) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("q")
    assert app.return_code == 0


async def test_a_lab_that_does_not_exist_is_no_reason_to_fail(make_app: Any) -> None:
    app = make_app(open_lab="nothing")
    async with app.run_test(size=(80, 24)):
        assert isinstance(app.screen, Home)


@pytest.mark.parametrize("part", ["lab", "lesson_read", "mark_lesson"])
async def test_a_store_that_fails_is_said_and_the_app_goes_on(
    make_app: Any, services: Any, until: Any, part: str
) -> None:
    from grader.errors import InfrastructureError

    def refuse(*_: Any) -> None:
        raise InfrastructureError("the progress cannot be written: No space left on device", remedy="free some space")

    setattr(services.progress, part, refuse)
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True):
        app.open_entry(app.entries[1])
        await until(lambda: isinstance(app.screen, LessonScreen))
        await until(lambda: any("free some space" in note.message for note in app._notifications))
        app.open_entry(app.entries[-1])
        await until(lambda: isinstance(app.screen, Home if part == "lab" else LabScreen))


async def test_a_theme_that_cannot_be_kept_is_used_all_the_same(make_app: Any, services: Any, until: Any) -> None:
    def refuse(_settings: Any) -> None:
        raise OSError(28, "No space left on device")

    services.remember = refuse
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True):
        app.use_theme("light")
        assert app.theme == "light"
        await until(lambda: any("No space left" in note.message for note in app._notifications))


@pytest.mark.parametrize("key", ["escape", "q"])
async def test_keys_pressed_too_quickly_close_one_screen_only(make_app: Any, until: Any, key: str) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        for entry in app.entries[1:3]:
            app.open_entry(entry)
            await pilot.pause()
            for _ in range(3):
                app.post_message(events.Key(key if key == "escape" else "q", None))
            await until(lambda: app.return_code == 0 if key == "q" else isinstance(app.screen, Home))
            await pilot.pause()
            assert len(app.screen_stack) == 2
            if key == "q":
                break


async def test_a_second_enter_in_the_palette_closes_nothing_else(make_app: Any, until: Any) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+k")
        await until(lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"light")
        await until(lambda: app.screen.query_one(OptionList).option_count == 1)
        for _ in range(3):
            app.post_message(events.Key("enter", None))
        await until(lambda: app.theme == "light")
        await pilot.pause()
        assert isinstance(app.screen_stack[1], Home)
