from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from tui.lab.shell import prepare

if TYPE_CHECKING:
    from pathlib import Path


def session_of(services: Any) -> Any:
    return services.session(services.courses()[0].chapters[0].labs[0])


def run(shell: Any, line: str) -> str:
    done = subprocess.run(
        shell.command,
        input=line + "\nexit\n",
        env=shell.environment,
        cwd=shell.folder,
        text=True,
        capture_output=True,
        check=False,
    )
    return done.stdout


def test_the_labs_variables_win_over_the_users_own_start_file(services: Any, tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("export KUBECONFIG=/the/users/own PATH=/usr/bin:/bin; alias hello='echo hi'\n")
    session = session_of(services)
    shell = prepare(session, {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "KUBECONFIG": "/production"})
    out = run(shell, 'echo "$KUBECONFIG"; echo "$NETDOJO_LAB"; hello; pwd; alias k')
    assert out.split("\n")[:5] == [
        str(session.work / "kubeconfig"),
        "default-deny",
        "hi",
        str(session.work),
        "alias k='kubectl'",
    ]


def test_values_are_quoted(services: Any, tmp_path: Path, monkeypatch: Any) -> None:
    session = session_of(services)
    monkeypatch.setattr(session, "environment", lambda: {"KUBECONFIG": "/a b/$(touch x)'\"", "PATH": "/usr/bin:/bin"})
    shell = prepare(session, {"HOME": str(tmp_path)})
    assert run(shell, 'echo "$KUBECONFIG"').startswith("/a b/$(touch x)'\"\n")
    assert not (session.work / "x").exists()


def test_what_belongs_to_the_outer_terminal_stays_outside(services: Any, tmp_path: Path) -> None:
    outside = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "LINES": "7",
        "TMUX": "x",
        "TERM": "screen",
        "NO_COLOR": "1",
    }
    environment = prepare(session_of(services), outside).environment
    assert environment["TERM"] == "xterm-256color"
    assert environment["NO_COLOR"] == "1"
    assert environment["HISTFILE"].endswith("work/.shell_history")
    assert not {"LINES", "TMUX"} & set(environment)


def test_without_bash_there_is_sh(services: Any, monkeypatch: Any) -> None:
    session = session_of(services)
    monkeypatch.setattr(session, "environment", lambda: {"PATH": "/nowhere"})
    shell = prepare(session, {})
    assert shell.command == ("/bin/sh", "-i")
    assert shell.environment["PS1"] == "(default-deny) $ "


def test_the_prompt_names_the_folder_only_elsewhere(services: Any, tmp_path: Path) -> None:
    shell = prepare(session_of(services), {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    out = run(shell, 'echo "<${PS1@P}>"; mkdir sub; cd sub; echo "<${PS1@P}>"; cd /; echo "<${PS1@P}>"')
    prompts = [line[1:-1].rstrip("#$ ") for line in out.splitlines() if line.startswith("<")]
    assert prompts == ["(default-deny)", "(default-deny)/sub", "(default-deny)/"]
