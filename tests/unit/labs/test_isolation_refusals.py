"""What a failed attempt to leave the host's network means, as a table; and the attempt itself, in this kernel."""

from __future__ import annotations

import errno
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from labs.sandbox.refusals import Facts, explain, facts

PLAIN = Facts(
    linux=True, root=False, container=False, max_user_namespaces=1000, userns_clone=None, apparmor_restricts=None
)


@pytest.mark.parametrize(
    ("code", "stage", "number", "known"),
    [
        ("no-linux", "unshare", 0, replace(PLAIN, linux=False)),
        ("limit-zero", "unshare", errno.ENOSPC, replace(PLAIN, max_user_namespaces=0)),
        ("limit-zero", "unshare", errno.EPERM, replace(PLAIN, max_user_namespaces=0, container=True)),
        ("userns-disabled", "unshare", errno.EPERM, replace(PLAIN, userns_clone=0)),
        ("apparmor", "map", errno.EPERM, replace(PLAIN, apparmor_restricts=1)),
        ("apparmor", "network", errno.EPERM, replace(PLAIN, apparmor_restricts=1)),
        ("apparmor", "unshare", errno.EACCES, replace(PLAIN, apparmor_restricts=1, userns_clone=1)),
        ("container", "unshare", errno.EPERM, replace(PLAIN, container=True)),
        ("container", "unshare", errno.EPERM, replace(PLAIN, root=True, container=True)),
        ("refused", "unshare", errno.EPERM, replace(PLAIN, root=True, apparmor_restricts=1)),
        ("limit-reached", "network", errno.ENOSPC, PLAIN),
        ("no-kernel-support", "unshare", errno.EINVAL, PLAIN),
        ("no-kernel-support", "unshare", errno.ENOSYS, replace(PLAIN, container=True)),
        ("no-nftables", "nftables", errno.EPROTONOSUPPORT, PLAIN),
        ("no-nftables", "nftables", errno.EOPNOTSUPP, replace(PLAIN, root=True)),
        ("refused", "unshare", errno.EPERM, PLAIN),
        ("refused", "unshare", 0, PLAIN),
    ],
)
def test_a_refusal_is_named_and_has_a_way_out(code: str, stage: str, number: int, known: Facts) -> None:
    refusal = explain(stage, number, known)
    assert refusal.code == code
    assert refusal.reason
    assert any("model" in remedy for remedy in refusal.remedies)


def test_the_restriction_of_ubuntu_is_named_with_the_way_out() -> None:
    refusal = explain("network", errno.EPERM, replace(PLAIN, apparmor_restricts=1))
    assert "AppArmor" in refusal.reason
    assert any("apparmor_restrict_unprivileged_userns=0" in remedy for remedy in refusal.remedies)
    assert any("sudo netdojo" in remedy for remedy in refusal.remedies)


@pytest.mark.netns
def test_where_namespaces_work_nothing_is_refused() -> None:
    run = subprocess.run(
        [sys.executable, "-P", "-m", "labs.sandbox.isolation"], capture_output=True, text=True, check=False, timeout=20
    )
    assert (run.stdout, run.returncode) == ("fine\n", 0)


LIMITED = """
import os
from pathlib import Path
from labs.sandbox import isolation
from labs.sandbox.network import netns
uid, gid = os.geteuid(), os.getegid()
netns.unshare(netns.CLONE_NEWUSER)
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"{user} {{uid}} 1")
Path("/proc/self/gid_map").write_text(f"{user} {{gid}} 1")
Path("/proc/sys/user/{limit}").write_text("0")
refusal = isolation.attempt()
print(refusal.code, refusal.reason)
"""


@pytest.mark.netns
@pytest.mark.parametrize(
    ("user", "limit", "code"),
    [(0, "max_net_namespaces", "limit-reached"), (1000, "max_user_namespaces", "limit-zero")],
)
def test_a_system_that_refuses_is_recognised(user: int, limit: str, code: str) -> None:
    """In a user namespace of its own a process may set limits that hold for itself alone."""
    script = LIMITED.format(user=user, limit=limit)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=20)
    assert run.stdout.startswith(code), run.stderr


@pytest.mark.netns
def test_entering_leaves_the_hosts_network_and_the_host_stays_as_it_was() -> None:
    code = """
import os, socket
from pathlib import Path
from labs.sandbox import isolation
isolation.enter()
if os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
isolation.mount_proc()
print(os.getpid(), *[name for _, name in socket.if_nameindex()], Path("/proc/self").readlink())
"""
    before = Path("/proc/self/ns/net").readlink()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert run.stdout.split()[:2] == ["1", "lo"]
    assert run.stdout.split()[2] == "1" or facts().container
    assert Path("/proc/self/ns/net").readlink() == before
