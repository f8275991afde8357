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
        return AppSettings(known.theme, known.animation, known.watch, known.backend)

    def remember(self, settings: AppSettings) -> None:
        """Keep changed settings for the next start."""
        from labs.store import explained, folders
        from tui.settings import save

        file = folders().config / "config.toml"
        with explained("write", file):
            save(file, _settings().model_copy(update=asdict(settings)))
        _settings.cache_clear()
        self._sessions.clear()  # a lab may run elsewhere now

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

    def session(self, lab: Lab, on: str = "") -> LabSession:
        """A lab with the backend that this user wants, or with that of this name; the same session each time."""
        from labs.session import LabSession
        from labs.store import cluster_folder, folders

        known = self._sessions.get(lab.id)
        if known is None or on not in {"", known.backend.name}:
            work = folders().data / "work" / lab.id
            place = backend(on or self._backend, lab)
            known = LabSession(lab, place, cluster_folder(lab.id, place.name), work, self.progress)
            self._sessions[lab.id] = known
        return known

    def trial(self, lab: Lab, name: str) -> LabSession:
        """A session that does not count: a cluster of its own under this name, nothing recorded."""
        from labs.session import LabSession
        from labs.store import cluster_folder

        place = backend(self._backend, lab, name)
        folder = cluster_folder(name, place.name)
        return LabSession(lab, place, folder, folder / "work", name=name)


def services(backend: str = "auto") -> Services:
    """The parts, for one command or for the app; `backend` is what `--on` says."""
    return Services(backend)


def backend(wanted: str, lab: Lab, name: str = "") -> Backend:
    """The backend for a lab: what was asked for, else where it runs already, else the setting, else what suits it.

    `name` is the cluster's, when it is not the lab's.

    Raises:
        NotCapableError: the lab does not run there.
    """
    from labs import places, registry

    chosen = places.choose(
        lab.spec, wanted, _settings().backend, places.standing(name or lab.id), lambda one: _has(registry.load(one))
    )
    # What runs on real clusters runs on the user's own, as far as that has what the lab needs: its start says so.
    if chosen not in lab.spec.backends and not (chosen == "kubeconfig" and "kind" in lab.spec.backends):
        raise NotCapableError(
            f"lab {lab.id} does not run on {chosen}", remedy=f"use --on {' or --on '.join(lab.spec.backends)}"
        )
    return registry.load(chosen)


def _has(place: Backend) -> frozenset[str]:
    try:
        return place.can().has
    except NotCapableError:
        return frozenset()


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
    """What runs labs here; whether kind could is seen from outside, without asking the engine anything."""
    from labs import registry
    from tui.services import Machine

    able = registry.load("sandbox").can()
    word = f"sandbox simulated ({able.dataplane})" if able.simulated else f"sandbox ready ({able.dataplane})"
    lacks = _kind_lacks()
    match _settings().backend:
        case "kind":
            return Machine(word, details=(f"labs run on kind: {lacks or 'ready'} (b changes it)",))
        case "kubeconfig":
            return Machine(word, details=("labs run on a cluster of yours (b changes it)",))
        case _:
            details = () if lacks else ("kind is ready, too: b makes it the place for all labs",)
            return Machine(word, simulated=able.simulated, details=details)


def _kind_lacks() -> str:
    """Why no kind clusters can be made here, in a few words; empty when nothing speaks against it."""
    import shutil

    from labs.kind import endpoint, settings

    refusal = endpoint.diagnose(endpoint.find())
    if refusal is not None:
        return refusal.reason
    binary = settings.load().binary
    return "" if shutil.which(binary) else f"the program {binary} is missing"


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
