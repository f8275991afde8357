"""The first program of a command in a pod: it makes the container around itself, then starts the command.

Run as `python -I -S enter.py` with descriptors 3 (the pod's network namespace), 4 (a JSON description, see
`command._Description`) and 5 (where the exit status goes, one byte). It imports little because it runs for every
`kubectl exec`, and nothing of netdojo because it starts without site-packages.

Three processes: the outer one waits and ties everything to the daemon's life; the inner one is process 1 of a PID
namespace, so that nothing outlives the command; the third becomes the command. Of the host's files only programs and
/etc are seen, read-only; /tmp, /run, /root and /home are empty and the command's own. Privileges are those that
container runtimes leave to root (runc's default), because the daemon may be root and `mount -o remount,rw /` would be
one word away.
"""

# This runs for every command, and pathlib is slow to import; /dev/shm and /tmp are mounts of its own.
# ruff: noqa: PTH102, PTH103, PTH120, PTH123, PTH211, S108

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from typing import Any, NoReturn

NAMESPACE, DESCRIPTION, STATUS = 3, 4, 5

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
TIOCSCTTY = 0x540E
LAST_CAPABILITY = 63

# chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot,
# audit_write, setfcap: runc's defaults without mknod (linux/capability.h has the numbers).
KEPT = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31))

# Empty for the command, and its own.
OWN = {"tmp": "1777", "run": "755", "root": "700", "home": "755"}
# All that is seen of the host, besides lib*: programs and their settings. Elsewhere lie other people's files, and
# sockets that a read-only mount does not guard (a container engine's makes root of whoever may write to it).
SEEN = {"bin", "sbin", "usr", "etc", "dev", "proc", "sys", "nix", "gnu"}
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
BIN = "/run/netdojo/bin"

_libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, call: str) -> None:
    """Raise what a failed call of the C library left in errno."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Call mount (man page mount 2).

    Raises:
        OSError: as the kernel says.
    """
    words = [word.encode() or None for word in (source, target, kind)]
    check(_libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None), f"mount {target}")


def read_only() -> None:
    """Make every mount read-only, present ones and their copies.

    Raises:
        OSError: as the kernel says.
    """
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    if _libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, size) != 0:
        remount_each()  # before Linux 5.12


def remount_each() -> None:
    """`read_only` one mount at a time, keeping the flags that an unprivileged user may not take away.

    Raises:
        OSError: as the kernel says.
    """
    names = {"nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC, "noatime": 1024, "nodiratime": 2048}
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        lines = [line.split(" ") for line in table]
    for words in lines:
        target = words[4].encode().decode("unicode_escape").encode("latin-1").decode()
        flags = sum(names.get(option, 0) for option in words[5].split(","))
        try:
            mount("", target, "", MS_REMOUNT | MS_BIND | MS_RDONLY | flags)
        except FileNotFoundError:
            continue  # covered by a later mount


def bind(descriptor: int, target: str) -> None:
    """Show at `target` what the descriptor was opened on.

    Raises:
        OSError: as the kernel says.
    """
    mount(f"/proc/self/fd/{descriptor}", target, "", MS_BIND | MS_REC)


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Create a file with its folders."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def make_devices(terminal: bool) -> None:
    """A /dev with what every container has, and no disk."""
    held = {name: os.open(f"/dev/{name}", os.O_PATH) for name in DEVICES}
    if terminal:
        # Opened anew by name: the descriptor we were given is on a mount of the daemon's and cannot be bound here.
        held["console"] = os.open(os.ttyname(0), os.O_PATH)
    mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64k")
    for name, descriptor in held.items():
        write(f"/dev/{name}", "")
        bind(descriptor, f"/dev/{name}")
        os.close(descriptor)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"/dev/{name}")
    os.mkdir("/dev/shm")
    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=16m")
    os.mkdir("/dev/pts")
    mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    os.symlink("pts/ptmx", "/dev/ptmx")


def make_files(description: dict[str, Any]) -> None:
    """Everything read-only, then what is the command's own, then what the cluster says of names."""
    mount("", "/", "", MS_REC | MS_PRIVATE)
    read_only()
    for kind, path in (("proc", "/proc"), ("sysfs", "/sys")):
        # Refused inside containers that hide parts of theirs: then it is the daemon's, read-only.
        with contextlib.suppress(OSError):
            mount(kind, path, kind, MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)
    make_devices(description["terminal"])
    cover(description["keep"])
    for path, text in description["files"].items():
        make_file(path, text)
    for name in description["applets"]:
        script = f'#!/bin/sh\nexec {description["applet"]} {name} "$@"\n'
        write(f"{BIN}/{name}", script, 0o755)


def cover(keep: list[str]) -> None:
    """Hide every folder of the host's that is not `SEEN`, but for these paths in them."""
    hidden = [
        entry.name
        for entry in os.scandir("/")
        if entry.is_dir(follow_symlinks=False) and entry.name not in SEEN and not entry.name.startswith("lib")
    ]
    below = tuple(f"/{name}/" for name in hidden)
    held = [(os.open(path, os.O_PATH), path) for path in keep if f"{path}/".startswith(below)]
    for name in hidden:
        mode, size = (OWN[name], "64m") if name in OWN else ("755", "64k")
        mount("tmpfs", f"/{name}", "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode},size={size}")
    if "var" in hidden:
        os.symlink("/tmp", "/var/tmp")
        os.symlink("/run", "/var/run")
    for descriptor, path in held:
        os.makedirs(path, exist_ok=True)
        bind(descriptor, path)
        os.close(descriptor)


def make_file(path: str, text: str) -> None:
    """Put this text in place of a file of the host. Where it was a link to what is hidden now, make it there."""
    real = os.path.realpath(path)
    if not os.path.lexists(real):
        with contextlib.suppress(OSError):  # none can be made where the host has none: programs use their defaults
            write(real, text)
        return
    own = f"/run/netdojo{path}"
    write(own, text)
    mount(own, real, "", MS_BIND)


def drop_privileges() -> None:
    """Keep what runc would, for this process and all that it starts.

    Raises:
        OSError: as the kernel says.
    """
    for number in range(LAST_CAPABILITY + 1):
        if not KEPT >> number & 1:
            _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)  # fails for numbers that this kernel does not have
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    low, high = KEPT & 0xFFFFFFFF, KEPT >> 32
    check(_libc.capset(header, (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)), "capset")
    check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def become(argv: list[str], environment: dict[str, str], terminal: bool) -> NoReturn:
    """Turn into the command; 127 when there is none, 126 when it cannot be run, with a container runtime's words."""
    os.setsid()
    if terminal:
        check(_libc.ioctl(0, TIOCSCTTY, 0), "TIOCSCTTY")
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - that is what this program is for
    except (OSError, ValueError) as problem:  # ValueError: a NUL or an empty name, which no system takes
        missing = isinstance(problem, (FileNotFoundError, NotADirectoryError))
        words = (getattr(problem, "strerror", "") or "invalid argument").lower()
        if missing:
            words = "no such file or directory" if "/" in argv[0] else "executable file not found in $PATH"
        complain(f'OCI runtime exec failed: exec failed: unable to start container process: exec: "{argv[0]}": {words}')
        os._exit(127 if missing else 126)


def complain(text: str) -> None:
    """Write to standard error, whoever listens."""
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode())


def code_of(status: int) -> int:
    """A wait status as shells put it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def inner(description: dict[str, Any]) -> int:
    """Process 1: make the container, start the command, bury the dead, and return the command's exit status."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        make_files(description)
        hostname = description["hostname"].encode()
        check(_libc.sethostname(hostname, len(hostname)), "sethostname")
        os.chdir("/")
        drop_privileges()
    except OSError as problem:
        complain(f"OCI runtime exec failed: exec failed: unable to start container process: {problem.strerror}")
        return 126
    command = os.fork()
    if command == 0:
        os.closerange(3, 16)
        become(description["argv"], description["environment"], description["terminal"])
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    while True:
        process, status = os.wait()
        if process == command:
            return code_of(status)


def main() -> int:
    """Read the description, leave every shared namespace, and wait for process 1."""
    parent = os.getppid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return 137
    with open(DESCRIPTION, encoding="utf-8") as stream:
        description = json.load(stream)
    try:
        check(_libc.setns(NAMESPACE, CLONE_NEWNET), "setns")
        check(_libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID), "unshare")
    except OSError as problem:
        complain(f"cannot make namespaces for a command: {problem.strerror}")
        return 126
    os.close(NAMESPACE)
    child = os.fork()
    if child == 0:
        os.write(STATUS, bytes([inner(description)]))
        os._exit(0)
    os.close(STATUS)
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    os.waitpid(child, 0)
    os._exit(0)


if __name__ == "__main__":
    code = main()
    os.write(STATUS, bytes([code]))
    sys.exit(code)
