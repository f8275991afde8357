"""Puts the parts together: the only place that knows which course, which backend and which folders are used."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING

from content.errors import UsageError
from grader.errors import NotCapableError

if TYPE_CHECKING:
    from content.model import Course, Lab
    from labs.base import Backend
    from labs.progress import ProgressStore
    from labs.session import LabSession
    from tui.services import AppSettings, Machine
    from tui.settings import Settings


class Services:
    """What both front ends work with (`tui.services.Services`); parts are made when they are first asked for."""

    def __init__(self, backend: str = "auto") -> None:
        self._backend = backend
        self._sessions: dict[str, LabSession] = {}

    @property
    def settings(self) -> AppSettings:
        """The part of the settings that the app uses."""
        from tui.services import AppSettings

        known = _settings()
        return AppSettings(known.theme, known.animation, known.watch)

    def remember(self, settings: AppSettings) -> None:
        """Keep changed settings for the next start."""
        from labs.store import explained, folders
        from tui.settings import save

        file = folders().config / "config.toml"
        with explained("write", file):
            save(file, _settings().model_copy(update=asdict(settings)))
        _settings.cache_clear()

    async def machine(self) -> Machine:
        """What can run here, as the app shows it; looks in a thread."""
        import asyncio

        return await asyncio.to_thread(_machine)

    @property
    def progress(self) -> ProgressStore:
        """What the learner has done."""
        return _progress()

    def courses(self) -> tuple[Course, ...]:
        """Every course that ships with netdojo."""
        return _courses()

    def lab(self, name: str) -> Lab:
        """A shipped lab by its id, or any lab by its folder.

        Raises:
            UsageError: there is none.
        """
        return find_lab(name)

    def session(self, lab: Lab) -> LabSession:
        """A lab with the backend that this user wants; the same session each time."""
        from labs.session import LabSession
        from labs.store import cluster_folder, folders

        if lab.id not in self._sessions:
            work = folders().data / "work" / lab.id
            place = backend(self._backend, lab)
            self._sessions[lab.id] = LabSession(lab, place, cluster_folder(lab.id), work, self.progress)
        return self._sessions[lab.id]

    def trial(self, lab: Lab, name: str) -> LabSession:
        """A session that does not count: a cluster of its own under this name, nothing recorded."""
        from labs.session import LabSession
        from labs.store import cluster_folder

        folder = cluster_folder(name)
        return LabSession(lab, backend(self._backend, lab), folder, folder / "work", name=name)


def services(backend: str = "auto") -> Services:
    """The parts, for one command or for the app; `backend` is what `--on` says."""
    return Services(backend)


def backend(wanted: str, lab: Lab | None = None) -> Backend:
    """The backend for a lab: what was asked for, else the setting, else the sandbox.

    Raises:
        NotCapableError: the lab does not run there, or this netdojo has no such backend.
    """
    from labs import registry

    name = wanted if wanted != "auto" else _settings().backend
    name = "sandbox" if name == "auto" else name
    if name not in registry.names():
        raise NotCapableError(
            f"the {name} backend is not part of this version of netdojo",
            remedy=f"use --on {' or --on '.join(registry.names())}",
        )
    if lab is not None and name not in lab.spec.backends:
        raise NotCapableError(
            f"lab {lab.id} does not run on {name}", remedy=f"use --on {' or --on '.join(lab.spec.backends)}"
        )
    return registry.load(name)


def find_lab(name: str) -> Lab:
    """A shipped lab by its id, or any lab by its folder; one that was started from its folder by its id, too.

    Raises:
        UsageError: there is none; names the nearest ids.
        BrokenContentError: it is there and defective.
    """
    from pathlib import Path

    from content import load
    from labs.store import started_from

    if any(mark in name for mark in "/\\.") or Path(name, "lab.yaml").is_file():
        folder = Path(name)
        if not (folder / "lab.yaml").is_file():
            raise UsageError(f"{name} is no lab: it has no lab.yaml", remedy="name a lab's id or its folder")
        return _sound(load.load_lab(folder))
    if name not in load.lab_folders() and (started := started_from(name)) is not None:
        return _sound(load.load_lab(started))
    return load.find_lab(name)


def _sound(lab: Lab) -> Lab:
    """A lab that makes sense as a whole; the shipped ones are proven, so that only others are examined."""
    from content.errors import BrokenContentError
    from content.labcheck import check_lab

    if defects := tuple(check_lab(lab)):
        raise BrokenContentError(defects)
    return lab


def _machine() -> Machine:
    from labs import registry
    from tui.services import Machine

    able = registry.load("sandbox").can()
    word = f"sandbox simulated ({able.dataplane})" if able.simulated else f"sandbox ready ({able.dataplane})"
    return Machine(word, simulated=able.simulated)


@cache
def _settings() -> Settings:
    from labs.store import folders
    from tui.settings import load

    return load(folders().config / "config.toml")


@cache
def _progress() -> ProgressStore:
    from labs.progress import ProgressStore
    from labs.store import folders
    from tui.commands.options import warn

    return ProgressStore(folders().data / "progress.db", tell=warn)


@cache
def _courses() -> tuple[Course, ...]:
    from content.load import shipped_courses

    return tuple(shipped_courses())
