"""Settings: a small TOML file in the configuration folder, and environment variables that win over it."""

from __future__ import annotations

import json
import os
import tomllib
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from content.errors import BrokenContentError, Defect

if TYPE_CHECKING:
    from pathlib import Path

TABLES = ("kind", "kubeconfig")
"""Settings of one backend; what they may hold is that backend's to say, who reads them when it is used."""


class Settings(BaseModel):
    """Every setting with its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["auto", "sandbox", "kind", "kubeconfig"] = "auto"
    """Where labs run (`--on` wins). `auto` takes the sandbox, and kind for a lab that needs it."""
    theme: Literal["dark", "light", "contrast"] = "dark"
    """How the app looks."""
    animation: bool = True
    """Whether the app moves things smoothly; off is kinder to slow lines."""
    watch: bool = True
    """Whether a lab's matrix follows changes by itself."""
    kind: dict[str, Any] = {}
    """Of kind clusters (`labs.kind.settings`); `NETDOJO_KIND_…` wins over each."""
    kubeconfig: dict[str, Any] = {}
    """Of clusters that are there already (`labs.kubeconfig.settings`); `NETDOJO_KUBECONFIG_…` wins over each."""


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
    for name in Settings.model_fields.keys() - set(TABLES):
        if value := os.environ.get(f"NETDOJO_{name.upper()}"):
            values[name] = value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        defects = [Defect(file, 0, f"setting {'.'.join(map(str, e['loc']))}: {e['msg']}") for e in error.errors()]
        raise BrokenContentError(defects) from error


def save(file: Path, settings: Settings) -> None:
    """Write the settings that differ from the defaults; comments that the file had are not kept.

    Raises:
        OSError: the file cannot be written; the old one stays.
    """
    from labs.store import write_atomically

    changed = settings.model_dump(exclude_defaults=True)
    tables = [(name, changed.pop(name)) for name in TABLES if name in changed]
    lines = [f"{name} = {_toml(value)}" for name, value in changed.items()]
    for name, table in tables:
        lines += ["", f"[{name}]", *(f"{json.dumps(key)} = {_toml(value)}" for key, value in table.items())]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, "\n".join([*lines, ""]))


def _toml(value: object) -> str:
    """A value as TOML writes it: JSON's strings, numbers, truth values and lists are TOML's, too."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)  # a date or a time
