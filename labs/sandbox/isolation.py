"""Leave the host's network for good: user (when not root), network, mount, IPC, host name and PID namespaces.

`enter` does it; `diagnose` tells beforehand, from a child process that tries it, what this system refuses, why, and
what helps.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

from labs.sandbox.network import netns
from labs.sandbox.refusals import Refusal, explain, facts

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
