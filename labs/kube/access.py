"""How a kubeconfig leads to an API: its address, TLS and credentials, for requests and for commands' streams.

What a kubeconfig can say is the `kubernetes` client's to know: plugins, tokens, proxies. Importing it takes half a
second, so files that say no more than kind's do are read without it: a server of this machine, an authority, and a
client's certificate, all written in the file itself.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import urllib3
import yaml

from grader.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONNECTIONS = 64
"""Kept open: those of the threads, and one for each kind that is watched."""
_BROKEN = (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError, StopIteration)
_CLUSTER, _USER = {"server", "certificate-authority-data"}, {"client-certificate-data", "client-key-data"}
_STRAIGHT = {"http_proxy_host": "none", "http_no_proxy": ["*"]}
"""For a WebSocket that goes by no proxy, whatever the environment says: the second is read beside the first only."""


@dataclass(frozen=True, slots=True)
class Access:
    """A way to an API.

    Attributes:
        server: its URL.
        pool: makes requests, and trusts nobody else there.
        tls: the same for a WebSocket: `sslopt` of websocket-client.
        proxied: options of a WebSocket's connection: the way around, where there is one.
        headers: gives the headers of a request; tokens are renewed by it.
    """

    server: str
    pool: urllib3.PoolManager
    tls: Mapping[str, Any]
    proxied: Mapping[str, Any]
    headers: Callable[[], dict[str, str]]


def read(kubeconfig: Path, context: str = "") -> Access:
    """The way that a kubeconfig file shows; nothing is asked yet.

    Args:
        kubeconfig: the file.
        context: empty for the file's current one.

    Raises:
        InfrastructureError: the file cannot be used, or a temporary file is needed and cannot be written.
    """
    return _plain(kubeconfig, context) or _by_client(kubeconfig, context)


def _plain(kubeconfig: Path, context: str) -> Access | None:
    """The way by a file as kind writes it; None for any other, and for one that is broken: the client says why."""
    with contextlib.suppress(*_BROKEN):
        found = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        chosen = _named(found["contexts"], context or found["current-context"])["context"]
        cluster = _named(found["clusters"], chosen["cluster"])["cluster"]
        user = _named(found["users"], chosen["user"])["user"]
        if set(cluster) != _CLUSTER or set(user) != _USER or not _is_here(cluster["server"]):
            return None
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # knows no authority but this one
        tls.load_verify_locations(cadata=_decoded(cluster["certificate-authority-data"]).decode())
        _show(tls, b"\n".join(_decoded(user[key]) for key in sorted(_USER)))
        pool = urllib3.PoolManager(maxsize=_CONNECTIONS, ssl_context=tls)
        # Nobody stands between this machine and itself, whatever HTTPS_PROXY says: kubectl goes straight there too.
        return Access(cluster["server"].rstrip("/"), pool, {"context": tls}, _STRAIGHT, dict)
    return None


def _show(tls: ssl.SSLContext, certificate: bytes) -> None:
    """Have a client's certificate and key shown, which are read from a file only.

    Raises:
        ssl.SSLError: they are none.
        InfrastructureError: the file cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="netdojo-") as folder:
            pem = Path(folder) / "client.pem"
            pem.write_bytes(certificate)
            tls.load_cert_chain(pem)
    except ssl.SSLError:  # an OSError, too
        raise
    except OSError as error:
        raise _unwritten(error) from error


def _is_full(error: OSError) -> bool:
    """Whether the temporary folder has no room: nothing else is written. Without a name, none was found that has."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT} or (error.errno == errno.ENOENT and not error.filename)


def _unwritten(error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"the kubeconfig's certificates need a temporary file, which cannot be written: {error}",
        remedy="free some space in the system's temporary folder (df -h /tmp), or let TMPDIR name another one",
    )


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def _is_here(server: str) -> bool:
    parts = urlsplit(server)
    return parts.scheme == "https" and ipaddress.ip_address(parts.hostname or "").is_loopback


def _by_client(kubeconfig: Path, context: str) -> Access:
    from kubernetes.client import ApiClient
    from kubernetes.config import ConfigException, new_client_from_config
    from kubernetes.stream.ws_client import websocket_proxycare

    try:
        configuration = new_client_from_config(str(kubeconfig), context or None, persist_config=False).configuration
        configuration.connection_pool_maxsize = _CONNECTIONS
        configuration.retries = False
        pool = ApiClient(configuration).rest_client.pool_manager
    except (ConfigException, *_BROKEN) as error:
        if isinstance(error, OSError) and _is_full(error):
            raise _unwritten(error) from error
        raise InfrastructureError(
            f"the kubeconfig {kubeconfig} cannot be used{f' with context {context}' if context else ''}: {error}",
            remedy="kubectl config get-contexts shows what the file has",
        ) from error
    is_proxied = configuration.proxy or configuration.proxy_headers
    return Access(
        str(configuration.host),
        pool,
        _tls(configuration),
        websocket_proxycare({}, configuration, configuration.host, {}) if is_proxied else {},
        lambda: {item["key"]: item["value"] for item in configuration.auth_settings().values()},
    )


def _tls(configuration: Any) -> dict[str, Any]:  # noqa: ANN401 - the client's own, which has no type
    if not configuration.verify_ssl:
        options: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    else:
        options = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": configuration.ssl_ca_cert}
    named = {"certfile": "cert_file", "keyfile": "key_file", "server_hostname": "tls_server_name"}
    found = {option: getattr(configuration, name, None) for option, name in named.items()}
    return {key: value for key, value in (options | found).items() if value is not None}
