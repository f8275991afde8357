"""The session's coroutines as the screen runs them: each ends in a message, a failure too, and never in a traceback."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from typing import TYPE_CHECKING

from content.errors import NetdojoError
from tui.lab import messages
from tui.lab.workfiles import Stamp, WorkFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from textual.message import Message

    from grader.report import CellKey
    from labs.session import LabSession

_POLL = 0.5  # seconds between two looks of the watch
_APPLY_LIMIT = 60.0  # seconds


class LabOperations:
    """Runs what takes time.

    Args:
        session: the lab.
        post: takes messages; safe from any thread.
    """

    def __init__(self, session: LabSession, post: Callable[[Message], object]) -> None:
        self._session = session
        self._post = post
        self._files = WorkFiles(session.work)
        self._version = ""
        self._stamp: Stamp = ()

    @contextlib.contextmanager
    def _reporting(self, action: str) -> Iterator[None]:
        try:
            yield
        except NetdojoError as error:
            self._post(messages.Failed(action, error.message, error.remedy))
        except Exception as error:  # noqa: BLE001 - a learner is told what happened; a defect of netdojo ends no session
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self._post(messages.Failed(action, text, "try again; if it stays, `netdojo doctor` shows what is missing"))

    def _progress(self, text: str) -> None:
        self._post(messages.Progressed(text))

    async def start(self) -> None:
        """Start the lab or find it running, and look at the matrix for the first time."""
        with self._reporting("start"):
            running = await self._session.start(self._progress)
            self._post(messages.Ready(running))
            await self._look()

    async def reset(self) -> None:
        """Back to the start."""
        with self._reporting("reset"):
            await self._session.reset(self._progress)
            self._post(messages.WasReset())
            await self._look()

    async def observe(self) -> None:
        """Look at the matrix now."""
        with self._reporting("observe"):
            await self._look()

    async def _look(self) -> None:
        # Asked before the probes: what changes during them is seen by the next look.
        self._version, self._stamp = await self._session.version(), await asyncio.to_thread(self._files.stamp)
        self._post(messages.Observed(await self._session.matrix()))

    async def check(self, *, by_hand: bool) -> None:
        """Grade."""
        with self._reporting("check"):
            self._post(messages.Checked(await self._session.check(), by_hand=by_hand))

    async def explain(self, key: CellKey) -> None:
        """Say why a cell is what it is."""
        with self._reporting("explain"):
            self._post(messages.Explained(key, await self._session.explain(key)))

    async def predict(self, text: str) -> None:
        """Say what applying the text would change."""
        with self._reporting("predict"):
            self._post(messages.Predicted(await self._session.predict(text)))

    async def apply(self, path: Path) -> None:
        """Run `kubectl apply -f` as the learner would."""
        with self._reporting("apply"):
            environment = dict(self._session.environment())
            kubectl = shutil.which("kubectl", path=environment.get("PATH"))
            if kubectl is None:
                self._post(messages.Failed("apply", "kubectl is not on the lab's PATH", "install kubectl"))
                return
            process = await asyncio.create_subprocess_exec(
                *(kubectl, "apply", "-f", str(path)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=environment,
            )
            try:
                output, _ = await asyncio.wait_for(process.communicate(), _APPLY_LIMIT)
            except TimeoutError:
                self._post(messages.Failed("apply", "kubectl apply did not end within a minute", "try again"))
                return
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            text = output.decode("utf-8", "replace").strip()
            self._post(messages.Applied(path, text, succeeded=process.returncode == 0))

    async def watch(self) -> None:
        """Look again whenever an object of the cluster or a file of the learner changes; ends when cancelled.

        A cluster that does not answer is reported once, and looked for again until it does.
        """
        reported = ""
        while True:
            await asyncio.sleep(_POLL)
            try:
                await self._look_if_changed()
                reported = ""
            except NetdojoError as error:
                if error.message != reported:
                    reported = error.message
                    self._post(messages.Failed("observe", error.message, error.remedy))
            except OSError as error:
                if str(error) != reported:
                    reported = str(error)
                    self._post(messages.Failed("observe", reported))

    async def _look_if_changed(self) -> None:
        version, stamp = await self._session.version(), await asyncio.to_thread(self._files.stamp)
        if stamp != self._stamp:
            self._stamp = stamp
            self._post(messages.FilesChanged())
        if version != self._version:
            cells = await self._session.matrix()
            self._version = version
            self._post(messages.Observed(cells, objects_changed=True))
