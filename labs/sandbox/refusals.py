"""What it means when a system refuses namespaces, and what helps there: from facts and an errno, in words."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no namespaces can be had here.

    Attributes:
        code: for programs: no-linux, limit-zero, userns-disabled, apparmor, container, no-kernel-support, no-nftables,
            limit-reached or refused.
        reason: one sentence.
        remedies: what helps, the easiest first.
    """

    code: str
    reason: str
    remedies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the system says about itself. Numbers are None where it has no such setting."""

    linux: bool
    root: bool
    container: bool
    max_user_namespaces: int | None
    userns_clone: int | None
    apparmor_restricts: int | None


def facts() -> Facts:
    """Read them from /proc; never raises."""
    return Facts(
        linux=sys.platform == "linux",
        root=hasattr(os, "geteuid") and os.geteuid() == 0,
        container=Path("/.dockerenv").exists()
        or Path("/run/.containerenv").exists()
        or "container" in os.environ
        or _seccomp_filtered(),
        max_user_namespaces=_setting("user/max_user_namespaces"),
        userns_clone=_setting("kernel/unprivileged_userns_clone"),
        apparmor_restricts=_setting("kernel/apparmor_restrict_unprivileged_userns"),
    )


def _setting(name: str) -> int | None:
    try:
        return int(Path("/proc/sys", name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _seccomp_filtered() -> bool:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "\nSeccomp:\t2" in status


_ELSEWHERE = (
    "work with the model dataplane, which needs nothing: results are computed and marked simulated",
    "use a kind cluster, where Docker answers",
)
_SUDO = "run it as root: sudo netdojo …"
_IN_A_CONTAINER = (
    "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined",
    "or start it with --cap-add SYS_ADMIN --cap-add NET_ADMIN",
    *_ELSEWHERE,
)


def explain(stage: str, number: int, known: Facts) -> Refusal:
    """What a failed attempt means. `stage` is where it failed: unshare, map, network or nftables; `number` the errno.

    Sources: user_namespaces(7), unshare(2), and Ubuntu's notes on unprivileged user namespace restrictions.
    """
    words = os.strerror(number) if number else "no reason given"
    if not known.linux:
        return Refusal("no-linux", "network namespaces exist on Linux only", _ELSEWHERE)
    if stage == "nftables":
        return Refusal(
            "no-nftables",
            f"the kernel has no nftables here ({words})",
            ("load the module: sudo modprobe nf_tables", *_ELSEWHERE),
        )
    if not known.root and (setting := _forbidden_by_setting(known)):
        return setting
    if number == errno.ENOSPC:
        return Refusal(
            "limit-reached",
            "no more namespaces may be made (user.max_user_namespaces, user.max_net_namespaces, or nesting too deep)",
            ("stop other labs, or raise the limits: sudo sysctl -w user.max_net_namespaces=15000", *_ELSEWHERE),
        )
    if number in {errno.EINVAL, errno.ENOSYS}:
        return Refusal("no-kernel-support", f"this kernel has no such namespaces ({stage}: {words})", _ELSEWHERE)
    code, who, remedies = (
        ("container", "this container", _IN_A_CONTAINER)
        if known.container
        else ("refused", "the system", (_SUDO, *_ELSEWHERE))
    )
    return Refusal(code, f"{who} does not let namespaces be made ({stage}: {words})", remedies)


def _forbidden_by_setting(known: Facts) -> Refusal | None:
    """The setting that keeps user namespaces from everybody but root; None when none does."""
    if known.max_user_namespaces == 0:
        return Refusal(
            "limit-zero",
            "user namespaces are switched off (user.max_user_namespaces is 0)",
            ("sudo sysctl -w user.max_user_namespaces=15000", _SUDO, *_ELSEWHERE),
        )
    if known.userns_clone == 0:
        return Refusal(
            "userns-disabled",
            "user namespaces are for root only (kernel.unprivileged_userns_clone is 0)",
            ("sudo sysctl -w kernel.unprivileged_userns_clone=1", _SUDO, *_ELSEWHERE),
        )
    if known.apparmor_restricts == 1:
        return Refusal(
            "apparmor",
            "AppArmor keeps capabilities from user namespaces "
            "(kernel.apparmor_restrict_unprivileged_userns is 1, as Ubuntu sets it since 23.10)",
            (
                "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (until the next boot)",
                f"give this Python an AppArmor profile with the rule `userns,`: {os.path.realpath(sys.executable)}",
                _SUDO,
                *_ELSEWHERE,
            ),
        )
    return None
