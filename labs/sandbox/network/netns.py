"""One network namespace as an object, kept alive by a file descriptor alone: no name, no mount, nothing to clean up.

The daemon is single-threaded where it enters namespaces: `entered` must never be held across an `await`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave the shared namespaces named by `flags` (see man page unshare 2).

    Raises:
        OSError: as the kernel says.
    """
    if _libc.unshare(flags) != 0:
        raise _last_error("unshare")


def setns(fd: int, flags: int) -> None:
    """Enter the namespace behind `fd` (see man page setns 2).

    Raises:
        OSError: as the kernel says.
    """
    if _libc.setns(fd, flags) != 0:
        raise _last_error("setns")


def _last_error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")


class NetworkNamespace:
    """A network namespace that lives as long as this object (or a socket or process inside it)."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def current(cls) -> Self:
        """The calling thread's own namespace."""
        return cls(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def create(cls) -> Self:
        """A new, empty namespace; the calling thread stays where it is."""
        home = cls.current()
        try:
            unshare(CLONE_NEWNET)
            try:
                return cls.current()
            finally:
                setns(home.fd, CLONE_NEWNET)
        finally:
            home.close()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Run the block inside this namespace. Never `await` in it."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(self.fd, CLONE_NEWNET)
            try:
                yield
            finally:
                setns(home, CLONE_NEWNET)
        finally:
            os.close(home)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A non-blocking socket that lives in this namespace, wherever it is used from."""
        with self.entered():
            made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    def close(self) -> None:
        """Let go of it; the kernel frees it with its last user."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
