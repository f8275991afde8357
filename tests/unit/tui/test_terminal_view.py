"""The terminal widget with real programs on a real pseudo-terminal."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
from textual import events
from textual.app import App, ComposeResult

from tui.widgets.terminal.view import Terminal

if TYPE_CHECKING:
    from pathlib import Path


class Host(App[None], inherit_bindings=False):
    """Nothing but a terminal."""

    COMMAND_PALETTE_BINDING = "ctrl+k"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self) -> None:
        super().__init__()
        self.statuses: list[int] = []
        self.reasons: list[str] = []
        self.left = 0

    def compose(self) -> ComposeResult:
        yield Terminal()

    def on_terminal_exited(self, message: Terminal.Exited) -> None:
        self.statuses.append(message.status)

    def on_terminal_unable(self, message: Terminal.Unable) -> None:
        self.reasons.append(message.reason)

    def key_f6(self) -> None:
        self.left += 1

    @property
    def terminal(self) -> Terminal:
        return self.query_one(Terminal)

    def start(self, folder: Path, *command: str, **variables: str) -> None:
        environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "PS1": "ready$ ", "HOME": str(folder)}
        self.terminal.run(command, {**environment, **variables}, folder)
        self.terminal.focus()

    async def type(self, pilot: Any, text: str) -> None:
        names = {"\n": "enter", " ": "space"}
        await pilot.press(*(names.get(character, character) for character in text))


async def test_output_input_and_exit(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.start(tmp_path, "bash", "--norc", "-i")
        await until(lambda: "ready$" in app.terminal.text)
        app.terminal._type("echo $((40+2)) from $PWD\n")
        await until(lambda: f"42 from {tmp_path}"[:40] in app.terminal.text)
        await app.type(pilot, "exit 7\n")
        await until(lambda: app.statuses == [7])
        assert not app.terminal.running


async def test_the_program_knows_its_size_and_is_told_of_a_new_one(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.start(tmp_path, "bash", "--norc", "-i")
        await until(lambda: "ready$" in app.terminal.text)
        app.terminal._type("stty size; tty >/dev/null && echo on a $TERM\n")
        await until(lambda: "12 60" in app.terminal.text and "on a xterm-256color" in app.terminal.text)
        await pilot.resize_terminal(41, 9)
        await until(lambda: app.terminal._emulator.screen.columns == 41)
        app.terminal._type("clear; stty size\n")
        await until(lambda: "9 41" in app.terminal.text)


async def test_ctrl_c_interrupts_and_job_control_works(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.start(tmp_path, "bash", "--norc", "-i")
        await until(lambda: "ready$" in app.terminal.text)
        # One program that says when it can be interrupted: a shell between two commands may miss a signal.
        program = (
            f"""{sys.executable} -c 'import signal; signal.signal(2, signal.SIG_DFL); print("be" "gun"); input()'"""
        )
        app.terminal._type(f"trap 'echo caught' INT; {program}; echo status $?\n")
        await until(lambda: "\nbegun" in app.terminal.text)
        await pilot.press("ctrl+c")
        await until(lambda: "ready$" in app.terminal.text.rpartition("begun")[2])
        assert "no job control" not in app.terminal.text


async def test_all_keys_go_to_the_program_but_one(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.start(tmp_path, "bash", "--norc", "-c", "stty raw -echo; echo ready; exec od -An -tx1 -w1 -v")
        await until(lambda: "ready" in app.terminal.text)
        await pilot.press("ctrl+p", "ctrl+q", "ctrl+c", "ctrl+k", "escape", "f1", "tab", "f6")
        await until(lambda: app.terminal.text.split()[1:] == ["10", "11", "03", "0b", "1b", "1b", "4f", "50", "09"])
        assert app.left == 1


async def test_a_flood_leaves_the_app_alive_and_complete(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)):
        app.start(tmp_path, sys.executable, "-c", "print('\\n'.join('line %d' % n for n in range(20000)))")
        await until(lambda: "line 19999" in app.terminal.text)
        await until(lambda: app.statuses == [0])


async def test_a_long_paste_arrives_whole(tmp_path: Path, until: Any) -> None:
    app = Host()
    text = "".join(f"{n:06d}\n" for n in range(5000))
    code = (
        "import sys,tty;tty.setraw(0);print('ready',flush=True);"
        f"data=sys.stdin.read({len(text)});print('got',len(data),data.endswith('004999\\r'),end='\\r\\n')"
    )
    async with app.run_test(size=(60, 12)):
        app.start(tmp_path, sys.executable, "-c", code)
        await until(lambda: "ready" in app.terminal.text)
        app.terminal.post_message(events.Paste(text))
        await until(lambda: f"got {len(text)} True" in app.terminal.text)


async def test_a_paste_is_marked_where_it_is_wanted(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(60, 30)):
        app.start(tmp_path, "bash", "-c", r"stty raw -echo; printf '\e[?2004hready'; exec od -An -tx1 -w1 -v")
        await until(lambda: "ready" in app.terminal.text)
        app.terminal.post_message(events.Paste("a\x1b[201~b"))
        await until(lambda: app.terminal.text.split()[1:] == b"\x1b[200~ab\x1b[201~".hex(" ").split())


async def test_the_wheel_and_keys_scroll_back(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.start(tmp_path, "bash", "-c", "seq 1 100; cat")
        await until(lambda: "\n100" in app.terminal.text)

        def top() -> str:
            return app.terminal.render_line(0).text.strip()

        assert top() == "92"
        await pilot._post_mouse_events([events.MouseScrollUp], widget=Terminal)
        assert top() == "89"
        await pilot.press("shift+pageup")
        assert top() == "80"
        await pilot.press("x")
        assert top() == "92"


async def test_colours_become_styles(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(40, 10)):
        app.start(
            tmp_path, "bash", "-c", r"printf '\e[1;31mred\e[0m \e[38;5;200mpink\e[0m \e[48;2;1;2;3mdeep\e[0m'; cat"
        )
        await until(lambda: "deep" in app.terminal.text)
        styles = {segment.text.strip(): segment.style for segment in app.terminal.render_line(0)}
        assert styles["red"].color.name == "red"
        assert styles["red"].bold
        assert styles["pink"].color.name == "#ff00d7"
        assert styles["deep"].bgcolor.name == "#010203"


@pytest.mark.skipif(shutil.which("vim") is None, reason="vim is not installed")
async def test_vim_edits_and_leaves_the_shell_as_it_was(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.start(tmp_path, "bash", "--norc", "-i")
        await until(lambda: "ready$" in app.terminal.text)
        app.terminal._type("vim -u NONE -N file.txt\n")
        await until(lambda: "~" in app.terminal.text and app.terminal._emulator.screen.alternate)
        await app.type(pilot, "ihello")
        await until(lambda: app.terminal.text.startswith("hello"))
        await pilot.press("escape", "colon", "w", "q", "enter")
        await until(lambda: not app.terminal._emulator.screen.alternate)
        await until((tmp_path / "file.txt").exists)
        assert (tmp_path / "file.txt").read_text() == "hello\n"
        assert app.terminal.text.startswith("ready$ vim")


async def test_closing_the_app_ends_the_shell_and_its_children(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)):
        app.start(tmp_path, "bash", "-c", "trap '' HUP; echo $$ > pid; echo begun; while :; do sleep 0.05; done")
        await until(lambda: "begun" in app.terminal.text)
    pid = int((tmp_path / "pid").read_text())
    await until(lambda: not alive(pid))


async def test_closing_the_app_ends_a_program_that_let_go_of_its_terminal(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)):
        app.start(tmp_path, "sh", "-c", "trap '' HUP; echo $$ > pid; exec </dev/null >/dev/null 2>&1; exec sleep 600")
        await until(lambda: app.terminal._child is not None and app.terminal._child._waiting is not None)
    await until(lambda: not alive(int((tmp_path / "pid").read_text())))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)):
        app.start(tmp_path / "gone", "bash")
        await until(lambda: app.reasons)
        assert "gone" in app.reasons[0]


async def test_a_program_that_is_not_there_ends_at_once(tmp_path: Path, until: Any) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)):
        app.start(tmp_path, "no-such-program")
        await until(lambda: app.statuses)
        assert app.statuses[0] != 0
