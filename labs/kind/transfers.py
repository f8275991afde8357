"""Images on their way from and to the engine: minutes of work, which ends when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_T = TypeVar("_T")


class Transfer:
    """One transfer, with a client of its own; used as a context, at whose end it stops.

    Its thread is a daemon, for which no process waits: an engine may say nothing for minutes (Docker 20.10 writes a
    whole image to its own disk before the first byte of it), and until then there is nothing to close.

    Args:
        connect: gives a client of the SDK; it is called in the thread.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._client: Any = None
        self._answer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with self._lock:
            client, answer = self._client, self._answer
        if answer is not None:
            # Closing would not wake the thread that reads. Before urllib3 2.3 there is no such thing: it ends at the
            # next piece then. What has been read to its end has nothing to shut down.
            with contextlib.suppress(OSError, RuntimeError, ValueError, AttributeError):
                answer.raw.shutdown()
        if client is not None:
            client.close()

    async def run(self, work: Callable[[Any], _T]) -> _T:
        """What the work makes of the client, in the transfer's thread."""
        done: Future[_T] = Future()
        threading.Thread(target=self._work, args=(work, done), name="docker-transfer", daemon=True).start()
        return await asyncio.wrap_future(done)

    def pieces(self, stream: Iterable[_T]) -> Iterator[_T]:
        """The pieces of a stream while somebody waits for them.

        Raises:
            ConnectionAbortedError: nobody does any more.
        """
        for piece in stream:
            self._go_on()
            yield piece

    def _work(self, work: Callable[[Any], _T], done: Future[_T]) -> None:
        done.set_running_or_notify_cancel()
        try:
            self._client = client = self._connect()
            client.api.hooks["response"].append(self._hold)
            self._go_on()
            done.set_result(work(client))
        except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
            done.set_exception(error)
        finally:
            if self._stopped.is_set() and self._answer is not None:
                self._answer.close()

    def _hold(self, answer: Any, **_: object) -> None:  # noqa: ANN401 - the SDK's requests have no types here
        """Keep an answer whose head has come, to end it from another thread."""
        with self._lock:
            self._answer = answer
        self._go_on()

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise ConnectionAbortedError("nobody waits for this transfer any more")
