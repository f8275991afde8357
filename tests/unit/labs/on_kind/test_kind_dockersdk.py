"""The adapter to Docker's SDK, before an engine that behaves badly: slow, silent, broken off, or left by its caller."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import signal
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError
from labs.kind import dockersdk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labs.kind.dockersdk import DockerEngine

LIMIT = 10.0
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
EXECUTED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def line(**fields: Any) -> bytes:
    return chunk(json.dumps(fields).encode() + b"\r\n")


def whole(*chunks: bytes) -> Callable[[_Handler], None]:
    def answer(to: _Handler) -> None:
        to.wfile.write(CHUNKED + b"".join(chunks) + chunk(b""))

    return answer


class FakeEngine(socketserver.ThreadingUnixStreamServer):
    """A Docker engine that answers each path as a test says; `silent` says nothing until the test is over."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self.url = f"unix://{path}"
        self.answers: dict[str, Callable[[_Handler], None]] = {"/version": lambda to: to.say({"ApiVersion": "1.41"})}
        self.asked = threading.Event()
        self.left = threading.Event()
        self.over = threading.Event()

    def silent(self, *before: bytes) -> Callable[[_Handler], None]:
        def answer(to: _Handler) -> None:
            for piece in before:
                to.wfile.write(piece)
            self.asked.set()
            self.over.wait()

        return answer

    def endless(self, piece: bytes) -> Callable[[_Handler], None]:
        def answer(to: _Handler) -> None:
            to.wfile.write(CHUNKED)
            with contextlib.suppress(OSError):
                while not self.over.is_set():
                    to.wfile.write(piece)
                    self.asked.set()
                    time.sleep(0.01)
            self.left.set()

        return answer


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FakeEngine

    def do_GET(self) -> None:
        self.path = self.path.removeprefix("/v1.41").partition("?")[0]
        self.close_connection = True
        with contextlib.suppress(OSError):  # its asker has gone
            self.server.answers[self.path](self)

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while self.rfile.readline().strip() not in {b"0", b""}:
                pass
        elif length := int(self.headers.get("Content-Length") or 0):
            self.rfile.read(length)
        self.do_GET()

    def say(self, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "docker.sock") as server:
        monkeypatch.setenv("DOCKER_HOST", server.url)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()


@pytest.fixture
def engine(fake: FakeEngine) -> Iterator[DockerEngine]:
    del fake
    engine = dockersdk.connect()
    yield engine
    engine.close()


PULL, SAVE, LOAD = "/images/create", "/images/a:1/get", "/images/load"
CALLS = {PULL: "pull('a:1', str)", SAVE: "save('a:1', folder / 'a.tar')", LOAD: "load(folder / 'image')"}
INTERRUPTED = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs tests in the background has it ignored
from labs.kind import dockersdk
from tui.commands.options import perform
folder = pathlib.Path(sys.argv[1])
(folder / "image").write_bytes(b"x" * 3_000_000)
try:
    perform(dockersdk.connect().%s)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("path", [PULL, SAVE, LOAD])
@pytest.mark.parametrize("begun", [True, False], ids=["in the answer", "before the answer"])
def test_an_interrupt_ends_a_transfer_and_the_process(tmp_path: Path, fake: FakeEngine, path: str, begun: bool) -> None:
    fake.answers[path] = fake.silent(*[CHUNKED, line(status="Pulling")] * begun)
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED % CALLS[path], tmp_path])
    try:
        assert fake.asked.wait(LIMIT)
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 130
    finally:
        process.kill()
        process.wait()


def transfers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "docker-transfer"]


@pytest.mark.parametrize("path", [PULL, SAVE])
@pytest.mark.parametrize("talks", [True, False])
async def test_a_transfer_that_is_cancelled_ends_its_thread_and_lets_the_engine_know(
    tmp_path: Path, fake: FakeEngine, engine: DockerEngine, path: str, talks: bool
) -> None:
    piece = line(status="Pulling", id="x" * 100_000)
    fake.answers[path] = fake.endless(piece) if talks else fake.silent(CHUNKED, piece)
    file, told = tmp_path / "a", asyncio.Event()
    work = engine.pull("a:1", lambda _: told.set()) if path == PULL else engine.save("a:1", file)
    task = asyncio.ensure_future(work)
    limit = time.monotonic() + LIMIT
    while not told.is_set() and not (file.exists() and file.stat().st_size):  # it is in the midst of the answer
        assert time.monotonic() < limit
        await asyncio.sleep(0.01)
    threads = transfers()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for thread in threads:
        await asyncio.to_thread(thread.join, LIMIT)
    assert threads
    assert not transfers()
    if talks:
        assert await asyncio.to_thread(fake.left.wait, LIMIT)


async def test_an_engine_that_writes_an_image_to_its_disk_first_has_the_time(
    tmp_path: Path, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labs.kind.dockersdk._ANSWER_SECONDS", 0.3)
    engine = dockersdk.connect()

    def slow(to: _Handler) -> None:
        time.sleep(0.6)
        whole(chunk(b"image"))(to)

    fake.answers[SAVE] = fake.answers["/info"] = slow
    await engine.save("a:1", tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == b"image"
    with pytest.raises(InfrastructureError, match="Docker is there, but takes too long to answer") as caught:
        await engine.info()
    assert not isinstance(caught.value, dockersdk.EngineUnreachableError)
    engine.close()


def broken_off(to: _Handler) -> None:
    to.wfile.write(CHUNKED + line(status="Pulling") + b"10\r\nhalf")


@pytest.mark.parametrize("path", [PULL, SAVE])
async def test_an_answer_that_breaks_off_is_told(
    tmp_path: Path, fake: FakeEngine, engine: DockerEngine, path: str
) -> None:
    fake.answers[path] = broken_off
    with pytest.raises(InfrastructureError, match="Docker broke off its answer"):
        await (engine.pull("a:1", lambda _: None) if path == PULL else engine.save("a:1", tmp_path / "a"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
async def test_a_disk_that_is_full_is_not_the_engines_fault(fake: FakeEngine, engine: DockerEngine) -> None:
    fake.answers[SAVE] = whole(chunk(b"image"))
    with pytest.raises(InfrastructureError, match="cannot write /dev/full: No space left"):
        await engine.save("a:1", Path("/dev/full"))


async def test_an_import_whose_image_breaks_off_ends_and_says_why(fake: FakeEngine, engine: DockerEngine) -> None:
    got: list[bytes] = []

    def command(to: _Handler) -> None:
        to.wfile.write(EXECUTED)
        got.append(to.rfile.read())  # until its input ends
        said = b"ctr: unexpected EOF"
        to.wfile.write(b"\2\0\0\0" + len(said).to_bytes(4, "big") + said)

    fake.answers |= {
        SAVE: broken_off,
        "/containers/node/exec": lambda to: to.say({"Id": "e"}),
        "/exec/e/start": command,
        "/exec/e/json": lambda to: to.say({"Running": False, "ExitCode": 1}),
    }
    with pytest.raises(InfrastructureError, match="Docker broke off its answer"):
        await asyncio.wait_for(engine.import_image("a:1", "node"), LIMIT)
    assert got, "the command's input was ended"
    fake.answers[SAVE] = whole(chunk(b"image"))
    ended = await asyncio.wait_for(engine.import_image("a:1", "node"), LIMIT)
    assert (ended.code, ended.stderr, got[1]) == (1, b"ctr: unexpected EOF", b"image")


async def test_an_image_is_loaded(tmp_path: Path, fake: FakeEngine, engine: DockerEngine) -> None:
    (tmp_path / "image").write_bytes(b"x" * 3_000_000)
    fake.answers[LOAD] = whole(line(stream="Loaded image: a:1\n"))
    fake.answers["/images/a:1/json"] = lambda to: to.say({"Id": "sha256:a", "RepoTags": ["a:1"]})
    assert await engine.load(tmp_path / "image") == ("a:1",)
