"""Run a function where it can do no harm: in namespaces of its own, as root and as a plain user."""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import os
import pickle
import signal
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 60


def _become_plain_user() -> None:
    """User 1000 without a capability; files stay readable, for this user is ourselves under another number."""
    from labs.sandbox.network import netns

    uid, gid = os.geteuid(), os.getegid()
    netns.unshare(netns.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"1000 {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"1000 {gid} 1", encoding="ascii")
    # capset(2): no capability of any kind, header of version 3 for this process.
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None, use_errno=True).capset(header, nothing) == 0
    assert os.geteuid() == 1000


def _child(write: int, function: Callable[..., Any], arguments: tuple[Any, ...], *, plain: bool) -> None:
    from labs.sandbox import isolation

    try:
        if plain:
            _become_plain_user()
        isolation.enter()
        inner = os.fork()
        if inner:
            os.waitpid(inner, 0)
            os._exit(0)
        result = function(*arguments)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        answer = (True, result)
    except BaseException as problem:  # noqa: BLE001 - whatever it is belongs to the test, not to this process
        answer = (False, "".join(traceback.format_exception(problem)))
    with os.fdopen(write, "wb") as pipe:
        pickle.dump(answer, pipe)
    os._exit(0)


def run_isolated(function: Callable[..., Any], *arguments: Any, plain: bool = False) -> Any:
    """Call a function (or coroutine function) in a child in namespaces of its own; its result or its traceback."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_SECONDS)
        _child(write, function, arguments, plain=plain)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        pytest.fail(f"the isolated child ended without an answer (limit {_SECONDS} s)")
    worked, result = pickle.loads(data)  # noqa: S301 - written by our own child
    if not worked:
        pytest.fail(result, pytrace=False)
    return result


@pytest.fixture(params=["as we are", "plain user"])
def isolated(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`isolated(function, *arguments)`: call it in namespaces of its own; once as we are, once without privileges."""
    plain = request.param == "plain user"
    return lambda function, *arguments: run_isolated(function, *arguments, plain=plain)


@pytest.fixture(scope="session")
def isolate() -> Callable[..., Any]:
    """As `isolated`, but once only: as we are, or with `plain=True` without privileges."""
    return run_isolated
