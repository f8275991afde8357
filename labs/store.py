"""Where clusters live on disk: one folder a cluster and backend, below the platform's state folder.

`NETDOJO_HOME` puts everything (state, data, configuration) below one folder, for tests and for a machine whose home
is elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from content.errors import UsageError
from grader.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Iterator

LAB_POINTER = ".lab"
"""In the work folder of a lab that is not shipped: where its own folder is."""
SANDBOX = "sandbox"
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders that netdojo writes to."""

    state: Path
    data: Path
    config: Path


def folders() -> Folders:
    """The folders of this user; nothing is made."""
    home = os.environ.get("NETDOJO_HOME")
    if home:
        base = Path(home).expanduser().absolute()
        return Folders(base / "state", base / "data", base / "config")
    import platformdirs

    return Folders(
        platformdirs.user_state_path("netdojo", appauthor=False),
        platformdirs.user_data_path("netdojo", appauthor=False),
        platformdirs.user_config_path("netdojo", appauthor=False),
    )


def is_cluster_name(name: str) -> bool:
    """Tell whether a cluster may have this name: a DNS label."""
    return bool(_SLUG.fullmatch(name))


def cluster_folder(name: str, backend: str = SANDBOX) -> Path:
    """The folder of the cluster of this name on this backend; it is not made.

    Raises:
        UsageError: the name could leave the folder or is no DNS label.
    """
    if not is_cluster_name(name):
        raise UsageError(
            f"{name!r} is no name for a cluster",
            remedy="use lower-case letters, digits and dashes, at most 63 characters",
        )
    return _home_of(backend) / name


def cluster_names(backend: str = SANDBOX) -> tuple[str, ...]:
    """The names of all clusters that left a folder with this backend, running or not, sorted."""
    try:
        found = sorted(path.name for path in _home_of(backend).iterdir() if path.is_dir())
    except OSError:
        return ()
    return tuple(name for name in found if is_cluster_name(name))


def _home_of(backend: str) -> Path:
    # Apart from one another: the sandbox sweeps its folder of what no living process holds.
    return folders().state / ("clusters" if backend == SANDBOX else f"on-{backend}")


def started_from(lab: str) -> Path | None:
    """The folder from which a lab that is not shipped was started last; None when there was none or it is gone."""
    if not _SLUG.fullmatch(lab):
        return None
    try:
        folder = Path((folders().data / "work" / lab / LAB_POINTER).read_text(encoding="utf-8"))
        return folder if (folder / "lab.yaml").is_file() else None
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def explained(what: str, path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into an error that says what to do.

    Raises:
        InfrastructureError: in place of any OSError of the block.
    """
    try:
        yield
    except OSError as error:
        words = error.strerror or str(error)
        raise InfrastructureError(
            f"cannot {what} {path}: {words}",
            remedy="free some space or permit writing there, or set NETDOJO_HOME to a folder on another disk",
        ) from error


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter.

    Raises:
        InfrastructureError: it cannot be made, or it is somebody else's.
    """
    with explained("make the folder", folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            found = folder.lstat()
            if stat.S_ISLNK(found.st_mode):  # what is at its end may be anything, and is not to be closed to others
                raise PermissionError(1, "it is a link to another folder")
            if found.st_uid != os.geteuid():
                raise PermissionError(1, "it belongs to another user")
            if found.st_mode & 0o077:
                folder.chmod(0o700)


def write_atomically(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace a file as a whole: readers see the old or the new text, and a full disk leaves the old one.

    Raises:
        OSError: the system refuses.
    """
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty when it is missing or no such thing (a torn file counts as none)."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
