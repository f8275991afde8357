"""Puts the parts together: the only place that knows which course, which backend and which folders are used."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from content.errors import UsageError
from grader.errors import NotCapableError

if TYPE_CHECKING:
    from pathlib import Path

    from content.model import Course, Lab
    from labs.base import Backend
    from labs.progress import ProgressStore
    from labs.session import LabSession
    from tui.settings import Settings


class Services:
    """What both front ends work with; parts are made when they are first asked for."""

    def __init__(self, backend: str = "auto") -> None:
        self._backend = backend

    @property
    def settings(self) -> Settings:
        """The user's settings."""
        return _settings()

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

    def session(self, lab: Lab, *, name: str = "", record: bool = True, work: Path | None = None) -> LabSession:
        """A lab with the backend that this user wants."""
        from labs.session import LabSession
        from labs.store import cluster_folder, folders

        name = name or lab.id
        return LabSession(
            lab,
            backend(self._backend, lab),
            cluster_folder(name),
            work or folders().data / "work" / lab.id,
            self.progress if record else None,
            name=name,
        )


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
    """A shipped lab by its id, or any lab by its folder.

    Raises:
        UsageError: there is none; names the nearest ids.
        BrokenContentError: it is there and defective.
    """
    import difflib
    from pathlib import Path

    from content import load

    if any(mark in name for mark in "/\\.") or Path(name, "lab.yaml").is_file():
        folder = Path(name)
        if not (folder / "lab.yaml").is_file():
            raise UsageError(f"{name} is no lab: it has no lab.yaml", remedy="name a lab's id or its folder")
        return load.load_lab(folder)
    known = load.lab_ids()
    if name in known:
        return load.find_lab(name)
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"there is no lab {name!r}", remedy=f"{hint}netdojo lab list shows them all")


@cache
def _settings() -> Settings:
    from labs.store import folders
    from tui.settings import load

    return load(folders().config / "config.toml")


@cache
def _progress() -> ProgressStore:
    from labs.progress import ProgressStore
    from labs.store import explained, folders

    data = folders().data
    with explained("make the folder", data):
        data.mkdir(parents=True, exist_ok=True)
    return ProgressStore(data / "progress.db")


@cache
def _courses() -> tuple[Course, ...]:
    from content.load import shipped_courses

    return tuple(shipped_courses())
