"""One live cluster inside its process: store, controllers, runtime and API put together, and what control can ask."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from content.errors import BrokenContentError, Defect, UsageError
from grader.errors import InfrastructureError
from labs.sandbox import wire
from labs.sandbox.api.apply import apply_object, delete_object
from labs.sandbox.api.kubeconfig import write_kubeconfig
from labs.sandbox.api.server import Api
from labs.sandbox.api.status import ApiError
from labs.sandbox.controllers.manager import Controllers, Topology
from labs.sandbox.store import Store

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from grader.ports import Manifest
    from labs.sandbox.daemon import Order
    from labs.sandbox.runtime import ExecSession, Runtime

_OUTPUT_LIMIT = 4 << 20
"""Bytes of a command's output that are kept; the rest is dropped, and said so."""

_FIRST = {"Namespace": 0, "ServiceAccount": 1, "ConfigMap": 1, "Secret": 1}
"""What others need is applied before them, whatever the order of files; the rest comes in its own order."""


class LiveCluster:
    """The parts of a cluster.

    Args:
        order: what was asked for.
        runtime: what carries its pods.
        token: what API clients must show.
        stop: called when somebody asks for the end.
    """

    def __init__(self, order: Order, runtime: Runtime, *, token: str, stop: Callable[[], None]) -> None:
        self._order = order
        self._runtime = runtime
        self._token = token
        self._stop = stop
        self._began = time.time()
        self._store = Store()
        self._controllers = Controllers(self._store, runtime, Topology(order.nodes, order.families, order.hosts))
        self._api = Api(self._store, self._controllers, runtime, token=token)
        self._changing = asyncio.Lock()

    async def start(self, sock: socket.socket) -> None:
        """Build nodes, apply the ordered objects, and serve the API on a bound socket.

        Raises:
            BrokenContentError: an object was refused.
            InfrastructureError: the system refuses.
        """
        await self._controllers.settle()
        await self._apply(self._order.objects)
        await self._api.serve(sock)

    async def close(self) -> None:
        """Stop serving, and take everything down."""
        await self._api.close()
        self._runtime.close()

    def write_kubeconfig(self, path: Path, port: int) -> None:
        """Write how kubectl reaches this cluster.

        Raises:
            OSError: the system refuses.
        """
        write_kubeconfig(path, port=port, token=self._token, namespace=self._order.namespace, name=self._order.name)

    def operations(self) -> Mapping[str, Callable[[dict[str, Any]], Awaitable[Any]]]:
        """What the control protocol offers."""
        return {
            "status": self._status,
            "version": self._version,
            "snapshot": self._snapshot,
            "probe": self._probe,
            "prove_enforcement": self._prove,
            "apply": self._apply_request,
            "delete": self._delete_request,
            "exec": self._exec,
            "stop": self._stop_request,
        }

    async def _status(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": self._order.name,
            "capabilities": wire.pack_capabilities(self._runtime.capabilities),
            "pods": len(self._store.list("pods")),
            "seconds": round(time.time() - self._began, 1),
        }

    async def _version(self, _: dict[str, Any]) -> str:
        return str(self._store.version)

    async def _snapshot(self, _: dict[str, Any]) -> list[Manifest]:
        return list(self._store.snapshot())

    async def _probe(self, given: dict[str, Any]) -> list[list[Any]]:
        await self._controllers.settle()
        return wire.pack_observations(await self._runtime.probe(wire.unpack_probes(given["probes"])))

    async def _prove(self, _: dict[str, Any]) -> None:
        await self._controllers.settle()
        await self._runtime.prove_enforcement()

    async def _apply_request(self, given: dict[str, Any]) -> None:
        await self._apply(given["objects"])

    async def _delete_request(self, given: dict[str, Any]) -> None:
        async with self._changing:
            for manifest in given["objects"]:
                delete_object(self._store, manifest, namespace=self._order.namespace)
            await self._controllers.settle()

    async def _stop_request(self, _: dict[str, Any]) -> None:
        self._stop()

    async def _apply(self, objects: Iterable[Manifest]) -> None:
        """Apply all that can be applied, then raise what the API refused, in its own words."""
        refused: list[Defect] = []
        async with self._changing:
            for manifest in sorted(objects, key=lambda item: _FIRST.get(str(item.get("kind")), 2)):
                try:
                    apply_object(self._store, manifest, namespace=self._order.namespace)
                except ApiError as error:
                    refused.append(Defect(Path(_called(manifest)), 0, str(error)))
            await self._controllers.settle()
        if refused:
            raise BrokenContentError(refused)

    async def _exec(self, given: dict[str, Any]) -> dict[str, Any]:
        namespace, _, name = str(given["pod"]).partition("/")
        pod = self._store.get("pods", namespace, name)
        if pod is None:
            raise UsageError(f"there is no pod {name!r} in namespace {namespace!r}")
        argv = [str(part) for part in given["argv"]]
        session = await self._runtime.exec(pod["metadata"]["uid"], "", argv)
        try:
            async with asyncio.timeout(float(given["limit"])):
                return await _run(session, str(given["stdin"]).encode())
        except TimeoutError:
            raise InfrastructureError(
                f"{argv[0]} in pod {namespace}/{name} did not end within {float(given['limit']):.0f} s",
                remedy="give the command a time-out of its own, as curl does with --max-time",
            ) from None
        finally:
            session.kill()


async def _run(session: ExecSession, stdin: bytes) -> dict[str, Any]:
    """Feed a command, collect what it prints, and return its end."""

    async def feed() -> None:
        if stdin:
            await session.write(stdin)
        await session.write(b"")

    feeding = asyncio.ensure_future(feed())
    kept = {1: bytearray(), 2: bytearray()}
    try:
        async for channel, chunk in session.output():
            room = _OUTPUT_LIMIT - len(kept[channel])
            kept[channel] += chunk[:room]
            if len(chunk) > room and not kept[channel].endswith(b"[more was dropped]\n"):
                kept[channel] += b"\n[more was dropped]\n"
        code = await session.wait()
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    out, err = (kept[channel].decode(errors="replace") for channel in (1, 2))
    return {"code": code, "stdout": out, "stderr": err}


def _called(manifest: Manifest) -> str:
    """An object as kubectl writes it: kind/name."""
    metadata = manifest.get("metadata")
    name = metadata.get("name", "?") if isinstance(metadata, dict) else "?"
    return f"{manifest.get('kind', 'object')}/{name}"
