"""What the app needs from outside: courses, sessions, progress, settings. `tui.wiring` provides it, tests fake it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from content.model import Course, Lab
    from labs.progress import ProgressStore
    from labs.session import LabSession


@dataclass(frozen=True, slots=True)
class AppSettings:
    """How the app looks and behaves.

    Attributes:
        theme: "dark", "light" or "contrast".
        animation: False leaves out everything that moves by itself.
        watch: whether a lab's matrix follows changes by itself.
        backend: where labs run: "auto", "sandbox", "kind" or "kubeconfig".
    """

    theme: str = "dark"
    animation: bool = True
    watch: bool = True
    backend: str = "auto"


@dataclass(frozen=True, slots=True)
class Machine:
    """What can run here.

    Attributes:
        summary: one short line, as in "sandbox ready (nftables, rootless)".
        ready: False when no lab can start.
        simulated: labs compute their traffic instead of sending it.
        details: more lines: what is missing and what would help, whether Docker and kind answer.
    """

    summary: str
    ready: bool = True
    simulated: bool = False
    details: tuple[str, ...] = ()


class Services(Protocol):
    """Everything behind the app."""

    @property
    def settings(self) -> AppSettings:
        """The settings as they are now."""
        ...

    @property
    def progress(self) -> ProgressStore:
        """What the learner has done."""
        ...

    def courses(self) -> tuple[Course, ...]:
        """The courses, loaded.

        Raises:
            content.errors.BrokenContentError: files that cannot be used.
        """
        ...

    def session(self, lab: Lab, on: str = "") -> LabSession:
        """The lab's session; the same one each time, until `on` names another backend or the setting changes.

        Raises:
            grader.errors.NotCapableError: the lab does not run there.
        """
        ...

    async def machine(self) -> Machine:
        """What can run here; may take a second, so the app asks in the background."""
        ...

    def remember(self, settings: AppSettings) -> None:
        """Keep changed settings for the next start."""
        ...
