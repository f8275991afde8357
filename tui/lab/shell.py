"""The shell of a lab: bash in the work folder, with kubectl pointed at the lab's cluster and at nothing else."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from labs.session import LabSession

_DROPPED = ("COLUMNS", "LINES", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TMUX", "TMUX_PANE", "STY")
"""What belongs to the terminal outside."""


@dataclass(frozen=True, slots=True)
class Shell:
    """A command, its whole environment, and where it runs."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path


def prepare(session: LabSession, outside: Mapping[str, str]) -> Shell:
    """The shell for a running lab.

    The user's own `.bashrc` is read, and the lab's variables are set after it: a KUBECONFIG exported there would
    otherwise send the learner's commands to another cluster.

    Args:
        session: a lab that is ready.
        outside: the app's environment as it was before Textual touched it (it removes NO_COLOR).

    Raises:
        OSError: the work folder cannot be written.
    """
    lab = dict(session.environment())
    environment = {name: value for name, value in outside.items() if name not in _DROPPED}
    environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", **lab}
    session.work.mkdir(parents=True, exist_ok=True)
    environment["HISTFILE"] = str(session.work / ".shell_history")
    bash = shutil.which("bash", path=environment.get("PATH"))
    if bash is None:
        return Shell(("/bin/sh", "-i"), environment | {"PS1": f"({session.lab.id}) $ "}, session.work)
    start_file = session.work / ".shell_start"
    start_file.write_text(_start_text(session.lab.id, {**lab, "HISTFILE": environment["HISTFILE"]}), encoding="utf-8")
    return Shell((bash, "--rcfile", str(start_file), "-i"), environment, session.work)


def _start_text(lab: str, variables: Mapping[str, str]) -> str:
    lines = ["# Written by netdojo at each start of the lab's shell.", '[ -r "$HOME/.bashrc" ] && . "$HOME/.bashrc"']
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    # The folder is named only where it is not the lab's own.
    lines += ["alias k=kubectl", "unset PROMPT_COMMAND", f"PS1='({lab})${{PWD#\"${{HISTFILE%/*}}\"}} \\$ '", ""]
    return "\n".join(lines)
