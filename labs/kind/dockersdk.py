"""`labs.kind.engine.Engine` over the `docker` SDK. Its calls block, so each runs in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from grader.errors import InfrastructureError, NotCapableError
from labs import store
from labs.kind import endpoint
from labs.kind.engine import Container, Wanted
from labs.kind.transfers import Transfer
from labs.kube.probing.runner import Finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_ANSWER_SECONDS = 30
_TRANSFER_SECONDS = 900
"""For the first byte of an image: Docker 20.10 writes all of it to its own disk before."""
_CHUNK = 1 << 20
_THREADS = 16
_MOST_BYTES = 64 << 20
"""Of a command's output: more is an error, not a full memory."""
_IMPORT_SECONDS = 300.0
_STDOUT, _STDERR = 1, 2
_T = TypeVar("_T")


class EngineUnreachableError(InfrastructureError):
    """No engine answers where the settings of Docker's own programs point."""


def connect() -> DockerEngine:
    """The engine that Docker's own programs would talk to (DOCKER_HOST, else the current Docker context).

    Raises:
        NotCapableError: the SDK is not installed.
        EngineUnreachableError: the settings lead nowhere.
    """
    try:
        import docker
        from docker.errors import DockerException
    except ImportError as error:
        raise NotCapableError(
            "the kind backend needs packages that are not installed", remedy="pip install 'netdojo[kind]'"
        ) from error
    found = endpoint.find()
    refusal = endpoint.diagnose(found)
    if refusal is not None:
        raise EngineUnreachableError(refusal.reason, remedy="; or ".join(refusal.remedies))
    made = partial(
        docker.DockerClient.from_env,
        max_pool_size=_THREADS,
        environment={**os.environ, "DOCKER_HOST": found.url},
    )
    try:
        client = made(timeout=_ANSWER_SECONDS, version="auto")
        return DockerEngine(client, partial(made, timeout=_TRANSFER_SECONDS, version=client.api.api_version))
    except (DockerException, OSError, ValueError) as error:
        raise _unreachable(error) from error


class DockerEngine:
    """An engine through the SDK's client.

    Args:
        client: for what is answered soon.
        another: makes a client for one transfer of an image.
    """

    def __init__(self, client: Any, another: Callable[[], Any]) -> None:  # noqa: ANN401 - the SDK has no types
        self._client = client
        self._another = another
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="docker")

    def close(self) -> None:
        """Let go of connections and threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def info(self) -> Mapping[str, Any]:
        """What `docker info` and `docker version` know."""
        info, version = await asyncio.gather(self._run(self._client.info), self._run(self._client.version))
        return {**info, "Version": version.get("Version", info.get("ServerVersion", ""))}

    async def containers(self, labels: Mapping[str, str | None]) -> tuple[Container, ...]:
        """All containers with these labels."""
        wanted = [name if value is None else f"{name}={value}" for name, value in labels.items()]
        found = await self._run(partial(self._client.api.containers, all=True, filters={"label": wanted}))
        return tuple(
            Container(
                item["Id"],
                str((item.get("Names") or [""])[0]).removeprefix("/"),
                str(item.get("State", "")),
                str(item.get("Image", "")),
                dict(item.get("Labels") or {}),
                _addresses(item.get("NetworkSettings") or {}),
            )
            for item in found
        )

    async def inspect(self, container: str) -> Container | None:
        """One container by name or id."""
        found = await self._run(partial(_or_none, self._client.api.inspect_container, container))
        return None if found is None else _container(found)

    async def run(self, wanted: Wanted) -> Container:
        """Make and start it."""
        made = await self._run(
            partial(
                self._client.containers.run,
                wanted.image,
                list(wanted.command) or None,
                name=wanted.name,
                labels=dict(wanted.labels),
                network=wanted.network,
                entrypoint=list(wanted.entrypoint) or None,
                cap_add=list(wanted.capabilities),
                detach=True,
            )
        )
        found = await self.inspect(made.id)
        if found is None:
            raise InfrastructureError(f"the container {wanted.name} ended at once", remedy="try again")
        return found

    async def remove(self, container: str) -> None:
        """End and remove it."""
        await self._run(partial(_or_none, partial(self._client.api.remove_container, force=True, v=True), container))

    async def exec(self, container: str, argv: Sequence[str], stdin: bytes = b"", seconds: float = 60.0) -> Finished:
        """Run a command in a container."""
        return await self._exec(container, argv, [stdin] if stdin else [], seconds)

    async def images(self, references: Iterable[str]) -> Mapping[str, str]:
        """Those of these images that the engine has."""
        wanted = tuple(references)
        found = await asyncio.gather(
            *(self._run(partial(_or_none, self._client.api.inspect_image, name)) for name in wanted)
        )
        return {name: str(item["Id"]) for name, item in zip(wanted, found, strict=True) if item is not None}

    async def pull(self, reference: str, progress: Callable[[str], None]) -> None:
        """Fetch an image."""
        loop = asyncio.get_running_loop()

        def fetch(client: Any, transfer: Transfer) -> None:  # noqa: ANN401 - likewise
            for line in transfer.pieces(client.api.pull(reference, stream=True, decode=True)):
                if line.get("error"):
                    raise InfrastructureError(
                        f"{reference} cannot be fetched: {line['error']}",
                        remedy="mend the connection to its registry, or bring it with netdojo lab prepare --load",
                    )
                if not line.get("progressDetail"):
                    loop.call_soon_threadsafe(progress, str(line.get("status", "")))

        await self._transfer(fetch)

    async def tag(self, reference: str, name: str) -> None:
        """Give an image one more name."""
        repository, _, tag = name.rpartition(":")
        await self._run(partial(self._client.api.tag, reference, repository, tag))

    async def save(self, reference: str, target: Path) -> None:
        """Write an image as an archive."""

        def write(client: Any, transfer: Transfer) -> None:  # noqa: ANN401 - likewise
            def chunks() -> Iterator[bytes]:
                with _told():  # what goes wrong at this end is no word of the engine's
                    yield from transfer.pieces(client.api.get_image(reference))

            with store.explained("write", target), target.open("wb") as file:
                file.writelines(chunks())

        await self._transfer(write)

    async def load(self, archive: Path) -> tuple[str, ...]:
        """Load the images of an archive."""

        def read(client: Any, transfer: Transfer) -> tuple[str, ...]:  # noqa: ANN401 - likewise
            with archive.open("rb") as file:
                chunks = transfer.pieces(iter(partial(file.read, _CHUNK), b""))
                return tuple(tag for image in client.images.load(chunks) for tag in image.tags)

        return await self._transfer(read)

    async def import_image(self, reference: str, node: str) -> Finished:
        """Copy an image into a node's own store."""
        # The form of kind's own `load`: every name of the archive, whatever platform it says.
        argv = ("ctr", "--namespace=k8s.io", "images", "import", "--all-platforms", "--digests")
        with Transfer(self._another) as transfer:
            with _told():
                chunks = await transfer.run(lambda client: client.api.get_image(reference))
            pieces = transfer.pieces(chunks)
            return await self._exec(node, (*argv, "--snapshotter=overlayfs", "-"), pieces, _IMPORT_SECONDS)

    async def _transfer(self, work: Callable[[Any, Transfer], _T]) -> _T:
        with Transfer(self._another) as transfer, _told():
            return await transfer.run(lambda client: work(client, transfer))

    async def _exec(self, container: str, argv: Sequence[str], stdin: Iterable[bytes], seconds: float) -> Finished:
        talk = _Talk(self._client.api, container, argv, stdin, seconds)
        try:
            return await self._run(talk.run)
        except TimeoutError as error:
            raise InfrastructureError(
                f"{argv[0]} in the container {container} did not end within {seconds:.0f} s",
                remedy="the machine may be overloaded; try again",
            ) from error
        finally:
            talk.close()

    async def _run(self, call: Callable[[], _T]) -> _T:
        with _told():
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turns what goes wrong between here and the engine into errors for people."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (InfrastructureError, TimeoutError):
        raise
    except (DockerException, RequestException, HTTPError, OSError) as error:
        raise explain(error) from error


class _Talk:
    """One command: fed by one thread, read by another. `close` from outside ends both."""

    def __init__(
        self,
        api: Any,  # noqa: ANN401 - the SDK has no types
        container: str,
        argv: Sequence[str],
        stdin: Iterable[bytes],
        seconds: float,
    ) -> None:
        self._api, self._container, self._argv = api, container, list(argv)
        self._stdin, self._seconds = stdin, seconds
        self._raw: Any = None
        self._broken: Exception | None = None

    def run(self) -> Finished:
        """Start it, feed it, collect, and ask for its status."""
        deadline = time.monotonic() + self._seconds
        has_input = bool(self._stdin)
        made = self._api.exec_create(self._container, self._argv, stdin=has_input, stdout=True, stderr=True, user="0")
        self._raw = self._api.exec_start(made["Id"], socket=True)
        stream = getattr(self._raw, "_sock", self._raw)
        feeder = threading.Thread(target=self._feed, args=(stream,), daemon=True)
        if has_input:
            feeder.start()
        kept = {_STDOUT: bytearray(), _STDERR: bytearray()}
        for number, chunk in _frames(stream, deadline):
            text = kept.get(number)
            if text is None or len(text) + len(chunk) > _MOST_BYTES:
                raise InfrastructureError(f"{self._argv[0]} in {self._container} wrote more than can be", remedy="")
            text += chunk
        if self._broken is not None:
            raise self._broken
        while (status := self._api.exec_inspect(made["Id"])).get("Running"):
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.01)  # its output has ended, and so will it: the engine writes the status a moment later
        return Finished(int(status.get("ExitCode") or 0), bytes(kept[_STDOUT]), bytes(kept[_STDERR]))

    def close(self) -> None:
        """Let go of the connection."""
        if self._raw is not None:
            stream = getattr(self._raw, "_sock", self._raw)
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                self._raw.close()

    def _feed(self, stream: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it ended without reading all: its status says why
            for chunk in self._input():
                stream.sendall(chunk)
            stream.shutdown(socket.SHUT_WR)

    def _input(self) -> Iterator[bytes]:
        """As much as can be had: where that breaks off, the command is told that it has ended, and ends."""
        try:
            yield from self._stdin
        except Exception as error:  # noqa: BLE001 - `run` raises it when the command has ended
            self._broken = error


def _frames(stream: socket.socket, deadline: float) -> Iterator[tuple[int, bytes]]:
    """The pieces of output, each with the number of its stream, until the command closes them.

    The form is the engine API's for containers without a terminal: a header of 8 bytes (stream, 0, 0, 0, size), then
    that much.
    """
    buffer = bytearray()
    while True:
        while len(buffer) >= 8 and len(buffer) >= 8 + (size := int.from_bytes(buffer[4:8], "big")):
            yield buffer[0], bytes(buffer[8 : 8 + size])
            del buffer[: 8 + size]
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        stream.settimeout(left)
        chunk = stream.recv(1 << 16)
        if not chunk:
            return
        buffer += chunk


def _or_none(call: Callable[[str], _T], name: str) -> _T | None:
    from docker.errors import NotFound

    try:
        return call(name)
    except NotFound:
        return None


def _container(found: Mapping[str, Any]) -> Container:
    return Container(
        str(found["Id"]),
        str(found.get("Name", "")).removeprefix("/"),
        str(found["State"].get("Status", "")),
        str(found["Config"].get("Image", "")),
        dict(found["Config"].get("Labels") or {}),
        _addresses(found.get("NetworkSettings") or {}),
    )


def _addresses(settings: Mapping[str, Any]) -> tuple[str, ...]:
    networks = (settings.get("Networks") or {}).values()
    return tuple(
        str(network[name]) for network in networks for name in ("IPAddress", "GlobalIPv6Address") if network.get(name)
    )


def explain(error: Exception) -> InfrastructureError:
    """An error of the SDK, or of its transport, for people."""
    from docker.errors import APIError, ImageNotFound
    from requests.exceptions import ChunkedEncodingError, ReadTimeout, Timeout
    from requests.exceptions import ConnectionError as Unreachable
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    if isinstance(error, ImageNotFound):
        return InfrastructureError(
            f"an image is missing: {error.explanation or error}", remedy="netdojo lab prepare fetches what labs need"
        )
    if isinstance(error, APIError):
        words = error.explanation or str(error)
        if isinstance(words, bytes):
            words = words.decode(errors="replace")
        remedy = "netdojo doctor looks at the engine and says what to mend"
        if "no space left" in words.lower():
            remedy = "free some space: docker system df shows what takes it"
        return InfrastructureError(f"Docker refuses: {words}", remedy=remedy)
    if isinstance(error, (ReadTimeout, ReadTimeoutError)):
        return InfrastructureError(
            f"Docker is there, but takes too long to answer: {error}",
            remedy="its machine or its disk may be overloaded: try again when that is over",
        )
    if isinstance(error, (ChunkedEncodingError, HTTPError)):
        return InfrastructureError(
            f"Docker broke off its answer: {error}",
            remedy="it may have been restarted: see docker info, then try again",
        )
    if isinstance(error, (Unreachable, Timeout, OSError)):
        return _unreachable(error)
    return InfrastructureError(f"Docker: {error}", remedy="netdojo doctor looks at the engine and says what to mend")


def _unreachable(error: Exception) -> EngineUnreachableError:
    return EngineUnreachableError(
        f"no Docker engine answers: {error}",
        remedy="start Docker, or point DOCKER_HOST to it; netdojo doctor says more",
    )
