"""The editor: nothing that was typed is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Static

from tui.lab.workfiles import template
from tui.widgets.editor import Editor, has_grammar

if TYPE_CHECKING:
    from pathlib import Path


class Host(App[None]):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.applied: list[Path] = []

    def compose(self) -> ComposeResult:
        yield Editor(self.folder, "shop")

    def on_editor_apply_wanted(self, message: Editor.ApplyWanted) -> None:
        self.applied.append(message.path)

    @property
    def editor(self) -> Editor:
        return self.query_one(Editor)

    @property
    def note(self) -> str:
        return str(self.query_one("#editor-note", Static).render())


async def test_a_new_lab_begins_with_a_template_that_is_nothing_to_lose(tmp_path: Path) -> None:
    app = Host(tmp_path / "work")
    async with app.run_test(size=(60, 20)):
        assert app.editor.name_open == "policy.yaml"
        assert app.editor.area.text == template("shop")
        assert not app.editor.unsaved
        assert not (tmp_path / "work").exists()


async def test_indentation_is_kept_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("")
    app = Host(tmp_path)
    async with app.run_test(size=(60, 20)) as pilot:
        app.editor.area.focus()
        await pilot.press(*"spec:", "enter", *"a:", "enter", *"b", "enter", "tab", *"c")
        assert app.editor.area.text == "spec:\n  a:\n    b\n      c"
        await pilot.press("ctrl+s")
        assert (tmp_path / "a.yaml").read_text() == app.editor.area.text


async def test_unsaved_text_survives_a_kill(tmp_path: Path, until: Any) -> None:
    (tmp_path / "a.yaml").write_text("one\n")
    first = Host(tmp_path)
    async with first.run_test(size=(60, 20)) as pilot:
        first.editor.area.focus()
        await pilot.press("x")
        await until(lambda: first.editor.files.draft("a.yaml") == "xone\n")
    second = Host(tmp_path)
    async with second.run_test(size=(60, 20)) as pilot:
        assert second.editor.area.text == "xone\n"
        assert second.editor.unsaved
        assert "is back" in second.note
        await pilot.press("ctrl+s")
        assert (tmp_path / "a.yaml").read_text() == "xone\n"
        assert second.editor.files.drafts() == ()


async def test_apply_saves_first(tmp_path: Path, until: Any) -> None:
    app = Host(tmp_path)
    async with app.run_test(size=(60, 20)) as pilot:
        app.editor.area.focus()
        await pilot.press("f7")
        await until(lambda: app.applied == [tmp_path / "policy.yaml"])
        assert (tmp_path / "policy.yaml").read_text() == template("shop")


async def test_a_change_from_outside_is_read_or_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("one\n")
    app = Host(tmp_path)
    async with app.run_test(size=(60, 20)) as pilot:
        app.editor.area.focus()
        path.write_text("two\n")
        app.editor.files_changed()
        assert app.editor.area.text == "two\n"
        await pilot.press("x")
        path.write_text("three\n")
        app.editor.files_changed()
        assert app.editor.area.text == "xtwo\n"
        assert "changed outside" in app.note
        await pilot.press("ctrl+s")
        assert path.read_text() == "three\n"
        await pilot.press("ctrl+s")
        assert path.read_text() == "xtwo\n"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
async def test_a_disk_that_refuses_loses_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Any, error: OSError
) -> None:
    app = Host(tmp_path)
    async with app.run_test(size=(60, 20)) as pilot:
        app.screen.set_focus(app.editor.area)

        def refuse(*_: Any) -> None:
            raise error

        monkeypatch.setattr(app.editor.files, "write", refuse)
        await pilot.press("x", "ctrl+s")
        await until(lambda: "not saved" in app.note)
        # Only now: drafts are kept by a timer too, whose note would take the place of the one above.
        monkeypatch.setattr(app.editor.files, "keep_draft", refuse)
        app.editor.keep_draft()
        assert "could not be kept" in app.note
        assert app.editor.area.text.startswith("x")
        await pilot.press("f7")
        assert app.applied == []


async def test_a_file_that_cannot_be_opened_leaves_the_open_one(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one\n")
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe")
    app = Host(tmp_path)
    async with app.run_test(size=(60, 20)):
        assert not app.editor.open("bad.yaml")
        assert not app.editor.open("../a.yaml")
        assert app.editor.name_open == "a.yaml"
        assert "cannot open" in app.note


@pytest.mark.skipif(not has_grammar(), reason="the compiled grammars are not installed (extra: syntax)")
async def test_yaml_is_coloured_for_the_theme(tmp_path: Path) -> None:
    app = Host(tmp_path)
    async with app.run_test(size=(60, 20)) as pilot:
        assert app.editor.area.language == "yaml"
        app.theme = "textual-light"
        await pilot.pause()
        assert app.editor.area.theme == "github_light"


async def test_without_the_grammars_it_is_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.widgets.editor.has_grammar", lambda: False)
    app = Host(tmp_path)
    async with app.run_test(size=(60, 20)):
        assert app.editor.area.language is None
        assert app.editor.area.text == template("shop")
