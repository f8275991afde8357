"""Leave the host's network for good: user (when not root), network, mount, IPC, host name and PID namespaces.

`enter` does it; `diagnose` tells beforehand, from a child process that tries it, what this system refuses, why, and
what helps.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from labs.sandbox.network import netns

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 1 << 14, 1 << 18
_NETLINK_NETFILTER = 12
_NFT_GETGEN = (10 << 8) | 16  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN


def enter() -> None:
    """Move this process, which must have one thread, into namespaces of its own; children get a new PID namespace.

    The caller forks afterwards: its child is process 1, and when it ends the kernel ends all that it started.

    Raises:
        OSError: the kernel refuses (see `diagnose` for what that means and what helps).
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = netns.CLONE_NEWNET | netns.CLONE_NEWNS | netns.CLONE_NEWIPC | netns.CLONE_NEWUTS | netns.CLONE_NEWPID
    if uid == 0:
        with contextlib.suppress(PermissionError):  # root of a container may lack the capability, as anybody does
            netns.unshare(flags)
            _make_mounts_private()
            return
    netns.unshare(flags | netns.CLONE_NEWUSER)
    # An unprivileged process may map itself only, and only after it has given up setgroups (user_namespaces(7)).
    with contextlib.suppress(FileNotFoundError):
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    _make_mounts_private()


def mount_proc() -> bool:
    """Give process 1 a /proc of its own PID namespace; False where the system masks /proc, as containers do."""
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None) == 0)


def _make_mounts_private() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount: {os.strerror(number)}")


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


def attempt() -> Refusal | None:
    """Try it in a forked child; None when it works. The calling process must have one thread."""
    known = facts()
    if not known.linux:
        return explain("unshare", 0, known)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        result = b"unshare 0"
        try:
            result = _try_everything()
        finally:
            os.write(writer, result)
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode("ascii").split()
    os.waitpid(child, 0)
    if said == ["fine"]:
        return None
    stage, number = said if len(said) == 2 else ("unshare", "0")
    return explain(stage, int(number), known)


def _try_everything() -> bytes:
    stage = "unshare"
    try:
        enter()
        stage = "network"
        netns.NetworkNamespace.create().close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            _bring_up_loopback(probe)
        stage = "nftables"
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
            _ask_nftables(netlink)
    except OSError as error:
        if stage == "unshare" and "uid_map" in str(error.filename or ""):
            stage = "map"
        return f"{stage} {error.errno or 0}".encode("ascii")
    return b"fine"


def _bring_up_loopback(probe: socket.socket) -> None:
    """An act that needs the capability NET_ADMIN, which AppArmor keeps from a namespace that it let be made."""
    import fcntl

    request = struct.pack("16sh22x", b"lo", 1)  # struct ifreq with IFF_UP
    fcntl.ioctl(probe, 0x8914, request)  # SIOCSIFFLAGS


def _ask_nftables(netlink: socket.socket) -> None:
    netlink.settimeout(2)
    netlink.send(struct.pack("=IHHIIBBH", 20, _NFT_GETGEN, 1, 1, 0, 0, 0, 0))
    answer = netlink.recv(4096)
    kind = struct.unpack_from("=H", answer, 4)[0]
    if kind == 2:  # NLMSG_ERROR
        number = -struct.unpack_from("=i", answer, 16)[0]
        if number:
            raise OSError(number, os.strerror(number))


@functools.cache
def diagnose() -> Refusal | None:
    """What refuses namespaces here, found by trying; None when nothing does. Asked once a process."""
    if sys.platform != "linux":
        return explain("unshare", 0, facts())
    if threading.active_count() == 1:
        return attempt()
    # A process with threads must not fork and go on: a fresh one tries, and only its answer comes back.
    run = subprocess.run(
        [sys.executable, "-P", "-m", "labs.sandbox.isolation"], capture_output=True, text=True, timeout=20, check=False
    )
    code, _, rest = run.stdout.strip().partition("\n")
    if code == "fine":
        return None
    reason, _, remedies = rest.partition("\n")
    return Refusal(code or "refused", reason or run.stderr.strip(), tuple(remedies.splitlines()))


def main() -> None:
    """Print what `attempt` finds: `fine`, or code, reason and remedies, one a line."""
    refusal = attempt()
    lines = ["fine"] if refusal is None else [refusal.code, refusal.reason, *refusal.remedies]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
