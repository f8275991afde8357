"""Where Docker's engine is said to be, and why it does not answer there: as Docker's own programs look for it.

The order is theirs: DOCKER_HOST, DOCKER_CONTEXT, the current context of `~/.docker/config.json`, the default socket
(https://docs.docker.com/engine/manage-resources/contexts/). The SDK knows the first and the last only.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "unix:///var/run/docker.sock"
_SECONDS = 2.0
_MOST_BYTES = 1 << 20
_START = "start it: sudo systemctl start docker, or open Docker Desktop"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the engine is said to be. `said_by` is what says so: "DOCKER_HOST", "the Docker context NAME", or ""."""

    url: str
    said_by: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no engine answers.

    Attributes:
        code: "missing", "permission", "refused", "wrong", "elsewhere" or "silent".
        reason: one sentence.
        remedies: what to do, the likeliest first.
    """

    code: str
    reason: str
    remedies: tuple[str, ...]


def find(environ: Mapping[str, str] | None = None) -> Endpoint:
    """Where Docker's programs would look for the engine."""
    environ = os.environ if environ is None else environ
    if host := environ.get("DOCKER_HOST"):
        return Endpoint(host, "DOCKER_HOST")
    folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or "~").expanduser() / ".docker")
    name = environ.get("DOCKER_CONTEXT") or str(_json(folder / "config.json").get("currentContext") or "")
    if name and name != "default":
        meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
        endpoints = _json(meta).get("Endpoints")
        host = (endpoints.get("docker") or {}).get("Host") if isinstance(endpoints, dict) else None
        if isinstance(host, str) and host:
            return Endpoint(host, f"the Docker context {name}")
    return Endpoint(DEFAULT)


def _json(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            found = json.loads(opened.read(_MOST_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def diagnose(endpoint: Endpoint, environ: Mapping[str, str] | None = None) -> Refusal | None:
    """Why nothing answers there; None when something takes the connection."""
    environ = os.environ if environ is None else environ
    kind, _, rest = endpoint.url.partition("://")
    if kind == "unix":
        return _unix(endpoint, Path(rest), environ)
    if kind in {"tcp", "http", "https"}:
        return _tcp(endpoint)
    if kind == "npipe":
        return None
    if kind == "ssh":
        return _elsewhere(endpoint)
    return Refusal(
        "wrong",
        f"{_who(endpoint)} is {endpoint.url!r}, which is no address of an engine",
        (f"an address is such as {DEFAULT} or tcp://127.0.0.1:2375", _forget(endpoint)),
    )


def _unix(endpoint: Endpoint, path: Path, environ: Mapping[str, str]) -> Refusal | None:
    try:
        found = path.stat()
    except PermissionError:
        return _forbidden(path)
    except OSError:
        others = tuple(
            f"an engine is at {other}: export DOCKER_HOST=unix://{other}" for other in _others(path, environ)
        )
        if endpoint.said_by:
            return Refusal(
                "missing", f"{_who(endpoint)} names {path}, which is not there", (*others, _forget(endpoint))
            )
        install = "install Docker: https://docs.docker.com/engine/install/"
        return Refusal("missing", f"no Docker engine is here: there is no {path}", (*others, install, _START))
    if not stat.S_ISSOCK(found.st_mode):
        return Refusal("wrong", f"{path} is no socket", (_forget(endpoint),))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        return _connect(asked, str(path), str(path), endpoint)


def _tcp(endpoint: Endpoint) -> Refusal | None:
    try:
        parts = urlsplit(endpoint.url)
        host, port = parts.hostname or "", parts.port or 2375
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, ValueError) as error:
        return Refusal("wrong", f"{_who(endpoint)} is {endpoint.url}: {error}", (_forget(endpoint),))
    if not str(found[4][0]).startswith("127.") and found[4][0] != "::1":
        return _elsewhere(endpoint)
    with socket.socket(found[0], socket.SOCK_STREAM) as asked:
        return _connect(asked, found[4], endpoint.url, endpoint)


def _connect(asked: socket.socket, address: Any, name: str, endpoint: Endpoint) -> Refusal | None:  # noqa: ANN401 - of any family
    asked.settimeout(_SECONDS)
    try:
        asked.connect(address)
    except PermissionError:
        return _forbidden(Path(name))
    except TimeoutError:
        return Refusal(
            "silent", f"the engine at {name} does not answer", ("restart it: sudo systemctl restart docker",)
        )
    except OSError as error:
        why = "nobody listens" if error.errno == errno.ECONNREFUSED else error.strerror or str(error)
        return Refusal("refused", f"the engine at {name} has ended: {why}", (_START, *_forgetting(endpoint)))
    return None


def _forbidden(path: Path) -> Refusal:
    return Refusal(
        "permission",
        f"you may not talk to the Docker engine at {path}",
        (
            "join its group: sudo usermod -aG docker $USER, then log in again (its members can become root)",
            "or run a rootless engine: https://docs.docker.com/engine/security/rootless/",
        ),
    )


def _elsewhere(endpoint: Endpoint) -> Refusal:
    return Refusal(
        "elsewhere",
        f"{_who(endpoint)} is {endpoint.url}: an engine on another machine, whose clusters cannot be reached from here",
        ("run netdojo on that machine", "or use it as a cluster: --on kubeconfig", _forget(endpoint)),
    )


def _others(path: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Sockets at the usual places: the system's, a rootless engine's, Docker Desktop's."""
    home = Path(environ.get("HOME") or "~").expanduser()
    usual = (
        Path("/var/run/docker.sock"),
        *([Path(environ["XDG_RUNTIME_DIR"]) / "docker.sock"] if environ.get("XDG_RUNTIME_DIR") else []),
        home / ".docker" / "run" / "docker.sock",
        home / ".docker" / "desktop" / "docker.sock",
    )
    return tuple(other for other in usual if other != path and other.is_socket())


def _who(endpoint: Endpoint) -> str:
    return endpoint.said_by or "the default"


def _forget(endpoint: Endpoint) -> str:
    if endpoint.said_by == "DOCKER_HOST":
        return "correct DOCKER_HOST, or unset it"
    return "choose another context: docker context use default" if endpoint.said_by else "look at what it is"


def _forgetting(endpoint: Endpoint) -> tuple[str, ...]:
    return (_forget(endpoint),) if endpoint.said_by else ()
