"""The lab's process: `python -m labs.sandbox.daemon FOLDER`, its order on standard input.

Two processes, one after the other: the first binds what must be reachable from the host, leaves the host's network and
forks; its child is process 1 of a PID namespace and is the cluster. The first ends at once, so there is one process to
know and to end: when it dies, however it dies, the kernel frees every namespace and ends every command in it.

It speaks on standard output until it is ready, one JSON object a line: `say`, then `ready` or `error`. Until the
starter answers `keep`, the end of standard input means that nobody wants this cluster any more; after `hold` it means
that still.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import secrets
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.errors import InfrastructureError, NotCapableError
from labs.locks import FileLock
from labs.sandbox import control, isolation, state, wire
from labs.sandbox.dataplane import names

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK_PATIENCE = 2.0
_log = logging.getLogger("netdojo.daemon")


@dataclass(frozen=True, slots=True)
class Order:
    """What the starter asks for; the fields of `labs.base.Request` as plain data."""

    name: str
    nodes: int
    families: tuple[int, ...]
    objects: list[dict[str, Any]]
    hosts: tuple[str, ...]
    namespace: str
    dataplane: str
    port: int
    transient: bool


@dataclass(slots=True)
class Doors:
    """What was bound before the host's network was left."""

    api: socket.socket
    control: socket.socket
    address: str
    token: str

    @property
    def port(self) -> int:
        """The Kubernetes API's port on loopback."""
        return int(self.api.getsockname()[1])


def say(**message: object) -> None:
    """One line to the starter; a starter that is gone is noticed elsewhere."""
    try:
        os.write(1, wire.line(message))
    except OSError as error:
        _log.info("nobody listens: %s", error)


def read_order() -> Order:
    """The order from standard input, up to its end of line; what follows stays in the pipe.

    Raises:
        EOFError: the starter has gone away.
    """
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        part = os.read(0, 1 << 16)
        if not part:
            raise EOFError
        parts.append(part)
    raw = json.loads(b"".join(parts))
    return Order(**{**raw, "families": tuple(raw["families"]), "hosts": tuple(raw["hosts"])})


def lock(folder: Path) -> FileLock:
    """The lock that proves this daemon's life.

    Raises:
        InfrastructureError: another daemon lives in this folder.
    """
    limit = time.monotonic() + _LOCK_PATIENCE
    while (held := FileLock.acquire(folder / state.LOCK)) is None:  # somebody may be looking whether it is held
        if time.monotonic() > limit:
            raise InfrastructureError(f"a cluster runs in {folder} already", remedy="stop it first")
        time.sleep(0.01)
    return held


def bind(folder: Path, port: int) -> Doors:
    """Bind the API's port on loopback, and the control socket.

    Raises:
        InfrastructureError: the port is taken, or no socket can be made in the folder.
    """
    api = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        api.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        api.bind(("127.0.0.1", port))
    except OSError as error:
        raise InfrastructureError(
            f"port {port} of 127.0.0.1 cannot be used: {error.strerror}",
            remedy="name another port, or none: a free one is taken then",
        ) from error
    path = folder / state.SOCKET
    if control.has_unix_sockets(path):
        try:
            return Doors(api, control.bind(path), f"unix:{path}", "")
        except OSError as error:
            raise InfrastructureError(
                f"no socket can be made at {path}: {error.strerror}",
                remedy="set NETDOJO_HOME to a folder on a local disk",
            ) from error
    inner = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    inner.bind(("127.0.0.1", 0))
    return Doors(api, inner, f"tcp:{inner.getsockname()[1]}", secrets.token_urlsafe(32))


def choose(wanted: str) -> tuple[str, str]:
    """Which dataplane, and why it is the model when it is.

    Raises:
        NotCapableError: nftables was demanded, and the system refuses.
    """
    if wanted == names.MODEL:
        return names.MODEL, "the model dataplane was asked for"
    refusal = isolation.attempt()
    if refusal is None:
        return names.NFTABLES, ""
    if wanted == names.NFTABLES:
        raise NotCapableError(f"no real packets here: {refusal.reason}", remedy="; or ".join(refusal.remedies))
    return names.MODEL, refusal.reason


def main() -> None:
    """Run a daemon to its end. Exit status 0: stopped, or not wanted any more; 1: it failed, and said why."""
    gc.disable()  # nothing that is made while it starts is garbage
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    folder = Path(sys.argv[1])
    try:
        order = read_order()
        lock(folder)  # for as long as this process, or its child, lives
        me = state.State(order.name, os.getpid(), state.ticks())
        me.write(folder)
        doors = bind(folder, order.port)
        say(say=f"listening on 127.0.0.1:{doors.port}")
        dataplane, why = choose(order.dataplane)
        if dataplane == names.MODEL:
            say(say=f"simulated: {why}")
        else:
            isolation.enter()
        _go_on_alone()
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, the starter has to know
        _fail(error)
    try:
        with _no_certificates():
            from labs.sandbox.process import serve

        serve(order, folder, doors, dataplane, why)
    except Exception as error:  # noqa: BLE001 - likewise
        _log.exception("the cluster failed")
        state.remove(folder)
        _fail(error)


def _fail(error: Exception) -> None:
    if isinstance(error, OSError) and not isinstance(error, InfrastructureError):
        error = InfrastructureError(
            f"the cluster could not be started: {error}",
            remedy="free some space or raise the limit that this names; netdojo doctor says more",
        )
    say(error=wire.pack_error(error))
    sys.exit(1)


@contextlib.contextmanager
def _no_certificates() -> Iterator[None]:
    """Spare the import of aiohttp's client, which nobody uses here, the reading of all certificates of the system."""
    variables = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(dict.fromkeys(variables, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _go_on_alone() -> None:
    """Go on as a child, process 1 where namespaces were entered; the process that was started ends here."""
    if hasattr(os, "fork") and os.fork():
        os._exit(0)


if __name__ == "__main__":
    main()
