"""Settings: a small TOML file in the configuration folder, and environment variables that win over it."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from content.errors import BrokenContentError, Defect

if TYPE_CHECKING:
    from pathlib import Path


class Settings(BaseModel):
    """Every setting with its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["auto", "sandbox"] = "auto"
    """Where labs run (`--on` wins). `auto` takes the sandbox."""
    theme: Literal["dark", "light", "contrast"] = "dark"
    """How the app looks."""
    animation: bool = True
    """Whether the app moves things smoothly; off is kinder to slow lines."""
    watch: bool = True
    """Whether a lab's matrix follows changes by itself."""


def load(file: Path) -> Settings:
    """Read the settings; a missing file means the defaults.

    `NETDOJO_BACKEND`, `NETDOJO_THEME`, `NETDOJO_ANIMATION` and `NETDOJO_WATCH` win over the file.

    Raises:
        BrokenContentError: the file, or a variable, is not what it should be.
    """
    values: dict[str, object] = {}
    try:
        values.update(tomllib.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        raise BrokenContentError([Defect(file, 0, f"settings cannot be read: {error}", "mend or remove it")]) from error
    for name in Settings.model_fields:
        if value := os.environ.get(f"NETDOJO_{name.upper()}"):
            values[name] = value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        defects = [Defect(file, 0, f"setting {'.'.join(map(str, e['loc']))}: {e['msg']}") for e in error.errors()]
        raise BrokenContentError(defects) from error


def save(file: Path, settings: Settings) -> None:
    """Write the settings that differ from the defaults; what the file had besides them is not kept.

    Raises:
        OSError: the file cannot be written; the old one stays.
    """
    from labs.store import write_atomically

    changed = settings.model_dump(exclude_defaults=True)
    lines = [
        f"{name} = {str(value).lower() if isinstance(value, bool) else f'{value!r}'}" for name, value in changed.items()
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, "\n".join([*lines, ""]))
