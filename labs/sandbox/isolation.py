"""Leave the host's network for good: user (when not root), network, mount, IPC, host name and PID namespaces."""

from __future__ import annotations

import os
from pathlib import Path

from labs.sandbox.network import netns


def enter() -> None:
    """Move this process, which must have one thread, into namespaces of its own; children get a new PID namespace.

    The caller forks afterwards: its child is process 1, and when it ends the kernel ends all that it started.

    Raises:
        OSError: the kernel refuses (see `labs.doctor` for what that means and what helps).
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = netns.CLONE_NEWNET | netns.CLONE_NEWNS | netns.CLONE_NEWIPC | netns.CLONE_NEWUTS | netns.CLONE_NEWPID
    if uid == 0:
        netns.unshare(flags)
        return
    netns.unshare(flags | netns.CLONE_NEWUSER)
    # An unprivileged process may map itself only, and only after it has given up setgroups (user_namespaces(7)).
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
