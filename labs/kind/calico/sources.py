"""Which files Calico is installed from; nothing is fetched without saying what and from where."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from content.errors import BrokenContentError, UsageError, printable
from content.yamlio import read_manifests
from grader.errors import InfrastructureError
from labs import store
from labs.kind import pins

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.ports import Manifest
    from labs.kind.settings import KindSettings

_MOST_BYTES = 32 << 20
_MOST_FILES = 64
_FETCH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Source:
    """One file of manifests.

    Attributes:
        place: a path or a URL.
        digest: "sha256:…" that its bytes must have; empty where nothing pins them.
    """

    place: str
    digest: str = ""

    @property
    def remote(self) -> bool:
        """Whether it has to be fetched."""
        return urlparse(self.place).scheme in {"http", "https"}


@dataclass(frozen=True, slots=True)
class Calico:
    """Where Calico comes from.

    Attributes:
        operator: whether the files are those of its operator, which needs custom resources then.
        sources: its files in the order in which they are applied.
        release: empty where it is not known before they are read.
    """

    operator: bool
    sources: tuple[Source, ...]
    release: str = ""

    def identity(self) -> str:
        """A word that changes when other files would be installed.

        Raises:
            UsageError: a file cannot be read.
        """
        if self.operator:
            return f"operator {self.release}"
        parts = [source.digest or source.place if source.remote else _digest(_read(source)) for source in self.sources]
        return "manifests " + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def of(settings: KindSettings) -> Calico:
    """What the settings say.

    Raises:
        UsageError: they name what is not there.
    """
    named = settings.calico_sources()
    if not named:
        files = tuple(Source(file.url, file.digest) for file in pins.CALICO_OPERATOR_FILES)
        return Calico(operator=True, sources=files, release=pins.CALICO)
    return Calico(operator=False, sources=tuple(source for name in named for source in _sources(name)))


def read(source: Source, cache: Path, progress: Callable[[str], None]) -> tuple[Manifest, ...]:
    """The objects of a file; a remote one is fetched once, and kept in `cache`.

    Raises:
        UsageError: it cannot be read, or is no manifest.
        InfrastructureError: it cannot be fetched, or is not what its digest says.
    """
    return _objects(source, content(source, cache, progress))


def content(source: Source, cache: Path, progress: Callable[[str], None]) -> bytes:
    """The bytes of a file, wherever it is.

    Raises:
        InfrastructureError: as for `read`.
        UsageError: likewise.
    """
    return fetch(source, cache, progress) if source.remote else _read(source)


def fetch(source: Source, cache: Path, progress: Callable[[str], None]) -> bytes:
    """The bytes of a remote file: from the cache, else from where it is; what is no manifest is not kept.

    Raises:
        InfrastructureError: as for `read`.
        UsageError: likewise.
    """
    kept = place_in(cache, source)
    if kept.is_file():
        data = kept.read_bytes()
        if not source.digest or _digest(data) == source.digest:
            return data
    progress(f"fetching {source.place}" + (f" ({source.digest})" if source.digest else ""))
    data = _download(source.place)
    if len(data) > _MOST_BYTES:
        raise InfrastructureError(f"{source.place} is larger than {_MOST_BYTES >> 20} MB", remedy="name another file")
    if source.digest and _digest(data) != source.digest:
        raise InfrastructureError(
            f"{source.place} is not the file that was expected: {_digest(data)} instead of {source.digest}",
            remedy="somebody may have changed it on the way; do not use it",
        )
    _objects(source, data)
    store.make_private(cache)
    with store.explained("write", kept):
        store.write_atomically(kept, data.decode())
    return data


def _download(place: str) -> bytes:
    """As much of a file as may be used, and a byte more where there is more."""
    try:
        request = urllib.request.Request(place, headers={"User-Agent": "netdojo"})  # noqa: S310 - http(s): `remote`
        with urllib.request.urlopen(request, timeout=_FETCH_SECONDS) as answer:  # noqa: S310 - likewise
            data = bytes(answer.read(_MOST_BYTES + 1))
            length = "" if "Transfer-Encoding" in answer.headers else answer.headers.get("Content-Length", "")
        if length.isdecimal() and len(data) < min(int(length), _MOST_BYTES):  # `read` with a limit does not tell
            raise http.client.IncompleteRead(data)
    except (OSError, http.client.HTTPException) as error:
        why: object = str(error) or type(error).__name__
        if isinstance(error, http.client.IncompleteRead):
            why = "the connection broke off before its end"
        raise InfrastructureError(
            f"{place} cannot be fetched: {why}",
            remedy="mend the connection, or bring it from elsewhere: netdojo lab prepare --save, and --load here",
        ) from error
    return data


def place_in(cache: Path, source: Source) -> Path:
    """Where a remote file is kept."""
    return cache / hashlib.sha256(f"{source.place}\n{source.digest}".encode()).hexdigest()


def kept(source: Source, cache: Path) -> bool:
    """Tell whether a remote file is in the cache."""
    return place_in(cache, source).is_file()


def _sources(name: str) -> tuple[Source, ...]:
    url, _, digest = name.partition("#")
    if urlparse(url).scheme in {"http", "https"}:
        return (Source(url, digest),)
    path = Path(name).expanduser()
    if path.is_file():
        return (Source(str(path)),)
    files = sorted(file for pattern in ("*.yaml", "*.yml") for file in path.glob(pattern)) if path.is_dir() else []
    if not files:
        raise UsageError(
            f"kind.calico: {path} has no manifests", remedy="name a folder or file of YAML, a URL, or `operator`"
        )
    if len(files) > _MOST_FILES:
        raise UsageError(f"kind.calico: {path} has {len(files)} files", remedy="name a folder that holds Calico only")
    return tuple(Source(str(file)) for file in files)


def _objects(source: Source, data: bytes) -> tuple[Manifest, ...]:
    try:
        return tuple(dict(item) for item, _line in read_manifests(data.decode()))
    except ValueError as error:
        why = f"{source.place} is no text"
        raise UsageError(why, remedy="kind.calico names files of manifests") from error
    except BrokenContentError as error:
        first = error.defects[0]
        why = printable(f"{source.place}:{first.line}: {first.cause}")
        raise UsageError(why, remedy="kind.calico names files of manifests") from error


def _read(source: Source) -> bytes:
    path = Path(source.place)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"kind.calico: {path} is too large", remedy="name a file of manifests")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"kind.calico: {path} cannot be read: {error.strerror or error}", remedy="name files that you may read"
        ) from error


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
