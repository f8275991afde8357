"""What the user says about kind: which program, which images, where Calico comes from.

Variables `NETDOJO_KIND_*` win over what the settings file says (its table `[kind]`).
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from content.errors import BrokenContentError, Defect, UsageError
from labs import store
from labs.kind import pins

if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATOR = "operator"
_MOST_PATCH_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class KindSettings:
    """Every setting with its default.

    Attributes:
        binary: the kind program: a name on the path, or a file.
        node_image: what the nodes (and outside hosts) run.
        calico: `operator`, or manifests: files, folders (their files by name) or URLs, `https://…#sha256:…`, separated
            as in PATH (by commas where one is a URL).
        patches: more kubeadm patches: a file, or their text.
        workload_image: what canaries run; it has to be in every cluster.
    """

    binary: str = "kind"
    node_image: str = pins.NODE_IMAGE
    calico: str = OPERATOR
    patches: str = ""
    workload_image: str = pins.AGNHOST_IMAGE

    def patch_documents(self) -> tuple[str, ...]:
        """The extra kubeadm patches, each a YAML document.

        Raises:
            UsageError: the file cannot be read, or is too large.
        """
        text = self.patches
        if text and "\n" not in text and ": " not in text:
            file = Path(text).expanduser()
            try:
                if file.stat().st_size > _MOST_PATCH_BYTES:
                    raise UsageError(f"kind.patches: {file} is too large", remedy="it holds a few lines of YAML")
                text = file.read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise UsageError(
                    f"kind.patches: {file} cannot be read: {error}",
                    remedy="name a file of kubeadm patches, or give text",
                ) from error
        return tuple(part.strip() + "\n" for part in _DOCUMENTS.split(text) if part.strip())

    def calico_sources(self) -> tuple[str, ...]:
        """Where Calico's manifests come from, in order; empty for the operator."""
        if self.calico == OPERATOR:
            return ()
        mark = "," if "://" in self.calico else os.pathsep
        return tuple(part.strip() for part in self.calico.split(mark) if part.strip())


_DOCUMENTS = re.compile(r"^---\s*$", re.MULTILINE)


def load(environ: Mapping[str, str] | None = None, file: Path | None = None) -> KindSettings:
    """The settings of this user.

    Raises:
        BrokenContentError: the settings file has no such setting, or is no TOML.
    """
    environ = os.environ if environ is None else environ
    file = store.folders().config / "config.toml" if file is None else file
    table = _table(file)
    known = tuple(field.name for field in fields(KindSettings))
    if unknown := sorted(set(table) - set(known)):
        raise BrokenContentError(
            [Defect(file, 0, f"kind.{unknown[0]} is no setting", f"there are: {', '.join(known)}")]
        )
    values = {name: environ.get(f"NETDOJO_KIND_{name.upper()}") or str(table.get(name) or "") for name in known}
    return KindSettings(**{name: value for name, value in values.items() if value})


def _table(file: Path) -> dict[str, object]:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get("kind", {})
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise BrokenContentError([Defect(file, 0, f"settings cannot be read: {error}", "mend or remove it")]) from error
    return found if isinstance(found, dict) else {}
