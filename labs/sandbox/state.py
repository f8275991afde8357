"""What a daemon leaves in its folder for later commands to find it, and how it is told from a stranger.

daemon.lock    locked for as long as the daemon lives: the only proof of life
state.json     its process, its doors, its dataplane (this module)
control.sock   the control protocol
kubeconfig     for kubectl
daemon.log     what it had to say
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labs import store

LOCK, STATE, SOCKET, KUBECONFIG, LOG = "daemon.lock", "state.json", "control.sock", "kubeconfig", "daemon.log"
CACHE = "kubectl-cache"
"""Discovery as kubectl keeps it for this cluster."""


@dataclass(frozen=True, slots=True)
class State:
    """A daemon's own description.

    Attributes:
        pid: as the host numbers processes.
        started: its start in clock ticks since the boot (`/proc/PID/stat`), which a recycled pid does not share; 0
            where the system has no such file.
        ready: False while it is being built.
        door: address of the control protocol.
        token: what control requests carry, when the door is no Unix socket.
        port: the Kubernetes API's on loopback.
        dataplane: "nftables" or "model".
        why: why it is simulated, empty when it is not.
    """

    name: str
    pid: int
    started: int
    ready: bool = False
    door: str = ""
    token: str = ""
    port: int = 0
    dataplane: str = ""
    why: str = ""

    def write(self, folder: Path) -> None:
        """Keep it.

        Raises:
            OSError: the system refuses.
        """
        import json

        store.write_atomically(folder / STATE, json.dumps({"version": 1, **asdict(self)}))


def read(folder: Path) -> State | None:
    """The state in a folder; None when there is none that can be used."""
    found: dict[str, Any] = store.read_json(folder / STATE)
    if found.pop("version", None) != 1:
        return None
    try:
        state = State(**found)
    except TypeError:
        return None
    return state if isinstance(state.pid, int) and isinstance(state.started, int) else None


def ticks(pid: int | str = "self") -> int:
    """When a process started, in clock ticks since the boot; 0 when it has ended or the system does not say."""
    try:
        stat = Path("/proc", str(pid), "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()  # from field 3 (state) on; see proc_pid_stat(5)
    return 0 if fields[0] in "ZX" else int(fields[19])


def is_alive(state: State) -> bool:
    """Tell whether the process of this state has not ended; always False where the system has no /proc."""
    return bool(state.started) and ticks(state.pid) == state.started


def send_signal(state: State, number: signal.Signals) -> None:
    """Signal the daemon of this state, and nobody else: a process that took over its pid is left alone."""
    if state.pid <= 1:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform != "linux":
            os.kill(state.pid, number)
            return
        fd = os.pidfd_open(state.pid)
        try:
            if is_alive(state):
                signal.pidfd_send_signal(fd, number)
        finally:
            os.close(fd)


def remove_doors(folder: Path) -> None:
    """Remove what leads other commands to the daemon; never raises."""
    for name in (STATE, SOCKET, KUBECONFIG):
        with contextlib.suppress(OSError):
            (folder / name).unlink()


def remove(folder: Path) -> None:
    """Remove what a daemon left in its folder, and the folder when nothing else is in it; never raises."""
    import shutil

    shutil.rmtree(folder / CACHE, ignore_errors=True)
    for name in (STATE, SOCKET, KUBECONFIG, LOG, LOCK):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    with contextlib.suppress(OSError):
        for torn in folder.glob(".*.json.*"):
            torn.unlink()
        for torn in folder.glob(".kubeconfig.*"):
            torn.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()
