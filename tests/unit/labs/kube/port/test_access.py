"""Ways to an API: files as kind writes them are read here, all others by the `kubernetes` client, with one meaning."""

from __future__ import annotations

import base64
import errno
import json
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import trustme
import urllib3

from grader.errors import ClusterGoneError, InfrastructureError
from labs.kube import access
from labs.kube.api import Refused
from labs.kube.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class WhoAsks(BaseHTTPRequestHandler):
    """Answers with the name in the client's certificate, and with its token."""

    def do_GET(self) -> None:
        certificate: Any = self.connection
        subject = dict(pair[0] for pair in (certificate.getpeercert() or {}).get("subject", ()))
        told = {"who": subject.get("commonName", ""), "token": self.headers.get("Authorization", "")}
        body = json.dumps({"kind": "APIVersions", "versions": ["v1"], "told": told}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        return


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> Iterator[str]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_OPTIONAL
    here = ThreadingHTTPServer(("127.0.0.1", 0), WhoAsks)
    here.socket = tls.wrap_socket(here.socket, server_side=True)
    thread = threading.Thread(target=here.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{here.server_port}"
    here.shutdown()
    here.server_close()
    thread.join()


def encoded(blob: trustme.Blob) -> str:
    return base64.b64encode(blob.bytes()).decode()


@pytest.fixture
def written(authority: trustme.CA, server: str, tmp_path: Path) -> Any:
    client = authority.issue_cert("admin@example.com", common_name="kubernetes-admin")

    def write(
        cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, *, without: tuple[str, ...] = ()
    ) -> Path:
        whole_cluster = {"server": server, "certificate-authority-data": encoded(authority.cert_pem)}
        whole_user = {
            "client-certificate-data": encoded(client.cert_chain_pems[0]),
            "client-key-data": encoded(client.private_key_pem),
        }
        pair = [whole_cluster | (cluster or {}), whole_user | (user or {})]
        pair = [{key: value for key, value in each.items() if key not in without} for each in pair]
        file = tmp_path / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "kind-a", "cluster": pair[0]}],
            "users": [{"name": "kind-a", "user": pair[1]}],
            "contexts": [{"name": "kind-a", "context": {"cluster": "kind-a", "user": "kind-a", "namespace": "shop"}}],
            "current-context": "kind-a",
        }
        file.write_text(json.dumps(document), encoding="utf-8")
        return file

    return write


def told(kubeconfig: Path, context: str = "") -> dict[str, str]:
    way = access.read(kubeconfig, context)
    found = way.pool.request("GET", way.server + "/api", headers=way.headers(), retries=False)
    return dict(json.loads(found.data)["told"])


def is_plain(way: access.Access) -> bool:
    return "context" in way.tls


@pytest.mark.parametrize("context", ["", "kind-a"])
async def test_kinds_own_file_is_read_without_the_client_and_means_the_same(written: Any, context: str) -> None:
    file = written()
    assert is_plain(access.read(file, context))
    assert told(file, context) == {"who": "kubernetes-admin", "token": ""}
    by_client = access._by_client(file, context)
    found = by_client.pool.request("GET", by_client.server + "/api", retries=False)
    assert json.loads(found.data)["told"]["who"] == "kubernetes-admin"
    assert by_client.server == access.read(file, context).server


@pytest.mark.parametrize(
    ("cluster", "user", "without"),
    [
        ({}, {"token": "secret"}, ()),
        ({}, {"token": "secret"}, ("client-certificate-data", "client-key-data")),
        ({"tls-server-name": "127.0.0.1"}, {}, ()),
        ({"insecure-skip-tls-verify": True}, {}, ("certificate-authority-data",)),
        ({"proxy-url": "http://127.0.0.1:1"}, {}, ()),
        ({}, {"exec": {"command": "aws", "apiVersion": "client.authentication.k8s.io/v1"}}, ()),
        ({"server": "https://cluster.example:6443"}, {}, ()),
        ({"server": "https://10.0.0.1:6443"}, {}, ()),
        ({"server": "http://127.0.0.1:6443"}, {}, ()),
    ],
)
def test_what_says_more_or_leads_elsewhere_is_the_clients(
    written: Any, cluster: dict[str, Any], user: dict[str, Any], without: tuple[str, ...]
) -> None:
    assert access._plain(written(cluster, user, without=without), "") is None


async def test_a_token_is_sent(written: Any) -> None:
    assert told(written({}, {"token": "secret"})) == {"who": "kubernetes-admin", "token": "Bearer secret"}


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for all that leaves this machine, at which nobody answers."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


async def command(kubeconfig: Path) -> str:
    """What becomes of a command: the server here answers it, but with no WebSocket."""
    with pytest.raises((Refused, ClusterGoneError)) as error:
        await connect(kubeconfig).exec("default/web", ["true"], b"", 5)
    return type(error.value).__name__


@pytest.mark.usefixtures("dead_proxy")
async def test_no_proxy_stands_between_this_machine_and_itself(written: Any) -> None:
    assert told(written())["who"] == "kubernetes-admin"
    assert await command(written()) == "Refused"


@pytest.mark.usefixtures("dead_proxy")
@pytest.mark.parametrize(("past", "becomes"), [("", "ClusterGoneError"), ("127.0.0.1", "Refused")])
async def test_a_proxy_that_the_client_would_ask_is_asked_for_requests_and_commands(
    written: Any, monkeypatch: pytest.MonkeyPatch, past: str, becomes: str
) -> None:
    monkeypatch.setenv("no_proxy", past)
    file = written({}, {"token": "secret"})
    if becomes == "Refused":
        assert told(file)["who"] == "kubernetes-admin"
    else:
        with pytest.raises(urllib3.exceptions.ProxyError):
            told(file)
    assert await command(file) == becomes


@pytest.mark.parametrize("user", [{}, {"token": "secret"}], ids=["kind's file", "another"])
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "tmp/x"),
        FileNotFoundError(errno.ENOENT, "No usable temporary directory found in [...]"),
    ],
    ids=["full", "none"],
)
def test_no_room_for_the_certificates_is_no_fault_of_the_file(
    written: Any, monkeypatch: pytest.MonkeyPatch, user: dict[str, Any], error: OSError
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise error

    for name in ("mkdtemp", "mkstemp"):
        monkeypatch.setattr(f"tempfile.{name}", full)
    with pytest.raises(InfrastructureError, match="a temporary file, which cannot be written") as raised:
        access.read(written({}, user))
    assert "free some space" in raised.value.remedy


async def test_another_authoritys_server_is_not_believed(written: Any) -> None:
    other = {"certificate-authority-data": encoded(trustme.CA().cert_pem)}
    file = written(other)
    assert is_plain(access.read(file))
    with pytest.raises(InfrastructureError, match="does not prove who it is"):
        await connect(file).resources()
    socket = connect(file).exec("default/web", ["true"], b"", 5)
    with pytest.raises(ClusterGoneError, match=r"could not be started: .*CERTIFICATE_VERIFY_FAILED"):
        await socket


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((key, value) for key in ("certificate-authority-data", "client-key-data") for value in ("!", "bm90aGluZw==")),
        *((key, value) for key in ("certificate-authority-data", "server") for value in (7, None)),
    ],
)
async def test_a_broken_file_is_no_way(written: Any, field: str, value: Any) -> None:
    place = {field: value}
    file = written(place) if field in {"server", "certificate-authority-data"} else written({}, place)
    with pytest.raises(InfrastructureError):
        await connect(file).resources()


@pytest.mark.parametrize("text", ["", "[]", "a: [", "contexts: {}", "current-context: x\ncontexts: [{name: x}]"])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InfrastructureError, match="cannot be used"):
        access.read(file)


def test_the_client_is_not_imported_for_kinds_file(written: Any) -> None:
    program = "import sys; from pathlib import Path; from labs.kube.client import connect; "
    program += "connect(Path(sys.argv[1])); sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run((sys.executable, "-c", program, str(written())), check=False).returncode == 0
