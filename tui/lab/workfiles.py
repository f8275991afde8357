"""The learner's folder of one lab: its YAML files, drafts of unsaved text, and whether anything changed.

Names with a slash, hidden names and links that lead out of the folder are refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

LARGEST = 1_000_000
"""Bytes: more than any manifest a person edits."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.(yaml|yml)")

Stamp = tuple[tuple[str, int, int, int], ...]
"""Name, modification time in nanoseconds, size and inode of each file: changes once for every way to save."""


class WorkFiles:
    """Files in `folder`, which need not exist yet. Methods raise OSError as the system does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> tuple[str, ...]:
        """The YAML files, sorted; none where the folder cannot be read."""
        try:
            return tuple(sorted(entry.name for entry in self.folder.iterdir() if self._usable(entry.name)))
        except OSError:
            return ()

    def _usable(self, name: str) -> bool:
        path = self.folder / name
        return bool(_NAME.fullmatch(name)) and path.is_file() and path.resolve().is_relative_to(self.folder.resolve())

    def path(self, name: str) -> Path:
        """Where a file is.

        Raises:
            ValueError: this is no name for a manifest; the text says why.
        """
        if reason := refuse_name(name):
            raise ValueError(reason)
        path = self.folder / name
        if path.is_symlink() and not path.resolve().is_relative_to(self.folder.resolve()):
            raise ValueError(f"{name} is a link that leads out of the lab's folder")
        return path

    def read(self, name: str) -> str:
        """A file's text.

        Raises:
            ValueError: not a manifest's name, too large, or not UTF-8.
        """
        path = self.path(name)
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{name} is larger than {LARGEST} bytes")
        return path.read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        """Save a file in one step: a crash leaves the old or the new text. Its draft is not needed any more."""
        self._replace(self.path(name), text)
        self.drop_draft(name)

    def draft(self, name: str) -> str | None:
        """Unsaved text that was left behind; None when there is none."""
        try:
            return self._draft_path(name).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    def keep_draft(self, name: str, text: str) -> None:
        """Keep unsaved text beside the file, so that nothing is lost whatever happens to the app."""
        self._replace(self._draft_path(name), text)

    def drop_draft(self, name: str) -> None:
        """Forget unsaved text."""
        self._draft_path(name).unlink(missing_ok=True)

    def drafts(self) -> tuple[str, ...]:
        """Names of files with unsaved text."""
        if not self.folder.is_dir():
            return ()
        found = (path.name.removeprefix(".").removesuffix(".unsaved") for path in self.folder.glob(".*.unsaved"))
        return tuple(sorted(name for name in found if _NAME.fullmatch(name)))

    def stamp(self) -> Stamp:
        """Changes whenever a file here changes, appears or goes."""
        found = []
        for name in self.names():
            with contextlib.suppress(OSError):
                status = (self.folder / name).stat()
                found.append((name, status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)

    def _draft_path(self, name: str) -> Path:
        return self.folder / f".{self.path(name).name}.unsaved"

    def _replace(self, path: Path, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        target = path.resolve() if path.is_symlink() else path
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self.folder)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(OSError):
                temporary.chmod(target.stat().st_mode & 0o777)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def refuse_name(name: str) -> str:
    """Why this is no name for a new manifest; empty when it is one."""
    if _NAME.fullmatch(name):
        return ""
    if not name.endswith((".yaml", ".yml")):
        return "the name must end in .yaml"
    return "letters, digits, dots, dashes and underscores only, and no folder"


def template(namespace: str) -> str:
    """The text of a new file: the least NetworkPolicy that the API takes."""
    return (
        "apiVersion: networking.k8s.io/v1\n"
        "kind: NetworkPolicy\n"
        "metadata:\n"
        "  name: my-policy\n"
        f"  namespace: {namespace}\n"
        "spec:\n"
        "  podSelector: {}    # which pods it protects; {} means all of the namespace\n"
        "  policyTypes: [Ingress]\n"
        "  ingress: []        # what may come in; nothing listed means nothing may\n"
    )
