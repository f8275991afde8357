"""Files of manifests from afar: fetched as a whole, said, checked, and only then kept."""

from __future__ import annotations

import hashlib
import http.server
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from content.errors import UsageError
from grader.errors import InfrastructureError
from labs.kind.calico import sources
from labs.kind.calico.sources import Source
from labs.kind.settings import KindSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = b"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(MANIFEST) + MANIFEST


class Web(http.server.ThreadingHTTPServer):
    """Answers with what it is told, byte by byte, and hangs up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = WHOLE
        self.asked = 0
        self.url = f"http://127.0.0.1:{self.server_port}/calico.yaml"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self.server.asked += 1
        self.wfile.write(self.server.answer)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Web() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_a_file_from_afar_is_fetched_once_said_and_checked(tmp_path: Path, web: Web) -> None:
    good = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()
    said: list[str] = []
    (source,) = sources.of(KindSettings(calico=f"{web.url}#{good}")).sources
    for _ in range(2):
        (item,) = sources.read(source, tmp_path / "cache", said.append)
        assert item["metadata"]["name"] == "a"
    assert web.asked == 1
    assert said == [f"fetching {web.url} ({good})"]
    with pytest.raises(InfrastructureError, match="is not the file that was expected"):
        sources.read(replace(source, digest="sha256:00"), tmp_path / "cache", said.append)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (WHOLE[:-20], "broke off before its end"),
        (CHUNKED + b"10\r\napi", "broke off before its end"),
        (b"hello\r\n", "hello"),
        (b"", "without response"),
    ],
)
def test_a_download_that_breaks_off_is_not_kept(tmp_path: Path, web: Web, answer: bytes, said: str) -> None:
    source = Source(web.url)
    web.answer = answer
    with pytest.raises(InfrastructureError, match=f"{web.url} cannot be fetched: .*{said}") as caught:
        sources.read(source, tmp_path / "cache", print)
    assert "mend the connection" in caught.value.remedy
    web.answer = WHOLE
    assert sources.read(source, tmp_path / "cache", print), "the next one begins anew"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a: 1\nb: [", ":3: this is no YAML"),
        (b"<html>\nlog in", ":1: expected a Kubernetes object, found the text"),
        (b"\xff", " is no text"),
    ],
)
def test_what_is_no_manifest_is_told_with_its_place_and_not_kept(
    tmp_path: Path, web: Web, data: bytes, said: str
) -> None:
    web.answer = b"HTTP/1.0 200 OK\r\n\r\n" + data
    source = Source(web.url)
    with pytest.raises(UsageError, match=f"^{web.url}{said}"):
        sources.fetch(source, tmp_path / "cache", print)
    assert not sources.kept(source, tmp_path / "cache")
    (tmp_path / "own.yaml").write_bytes(data)
    own = Source(str(tmp_path / "own.yaml"))
    with pytest.raises(UsageError, match=f"^{own.place}{said}"):
        sources.read(own, tmp_path / "cache", print)
