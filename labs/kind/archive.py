"""The form of the file that carries a classroom's needs to a machine whose engine is empty, and its checks.

It is a plain tar (POSIX.1-1988), without extensions:

    images/NN.tar     an image, as `docker save` writes it
    files/NN.yaml     a file of Calico's manifests
    manifest.json     what each is, its size and sha256; last, since that is known last

The file may come from a stranger: members are checked by name, kind, size and checksum before anything is used, nothing
is extracted under a name of its own, and an image may bring no name but the one that it is listed under.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import tarfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from content.errors import UsageError
from labs.kind import images
from labs.kind.loading import full

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = "netdojo kind archive"
VERSION = 1
MANIFEST = "manifest.json"
_MEMBER = re.compile(r"images/\d{2,3}\.tar|files/\d{2,3}\.yaml|manifest\.json")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_MEMBERS = 300
_MOST_IMAGE, _MOST_FILE, _MOST_MANIFEST = (8 << 30) - 1, 32 << 20, 1 << 20
_MOST_INSIDE = 20_000
"""Members of one image's archive."""
_EXTENSIONS = {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME}
_EXTENSIONS |= {tarfile.GNUTYPE_LONGLINK}
_MOST_EXTENSION = 64 << 10
"""Bytes of an extended header, which readers of tar keep in memory."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """One member, as the manifest lists it.

    Attributes:
        member: its name in the archive.
        name: an image's name in the engine, or a manifest's URL or file name.
        digest: "sha256:…" of the member's bytes.
        reference: an image's name as settings and labs have it.
        purpose: what the image is for.
        pin: of a manifest: the digest by which its URL is pinned; empty where none is.
    """

    member: str
    name: str
    size: int = 0
    digest: str = ""
    reference: str = ""
    purpose: str = ""
    pin: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive carries.

    Attributes:
        images: to load into an engine.
        files: Calico's manifests.
        kind: the release of the kind program that its node image was made for.
        size: of the archive, in bytes; 0 when it was not written just now. `digest`, its checksum, likewise.
    """

    images: tuple[Item, ...] = ()
    files: tuple[Item, ...] = ()
    kind: str = ""
    size: int = 0
    digest: str = field(default="", compare=False)


def read(archive: Path) -> Contents:
    """What an archive says that it carries, checked as far as that goes without reading all of it.

    Raises:
        UsageError: it is none, or one that is not to be trusted.
    """
    with _opened(archive) as file:
        members = _members(file, archive)
        if MANIFEST not in members or members[MANIFEST].size > _MOST_MANIFEST:
            raise bad(archive, "it has no manifest")
        contents = _contents(json.loads(b"".join(_chunks(file, members[MANIFEST]))), archive)
        for item in (*contents.images, *contents.files):
            if item.member not in members or members[item.member].size != item.size:
                raise bad(archive, f"{item.member} is not there, or not as large as it says")
        return contents


def take(archive: Path, item: Item, target: Path) -> None:
    """Copy a member to a file of ours, and compare its checksum.

    Raises:
        UsageError: it has another.
        OSError: the file cannot be written.
    """
    digest = hashlib.sha256()
    with target.open("wb") as copy, _opened(archive) as file:
        for chunk in _chunks(file, _members(file, archive)[item.member]):
            digest.update(chunk)
            copy.write(chunk)
    if f"sha256:{digest.hexdigest()}" != item.digest:
        raise bad(archive, f"{item.member} has another checksum than the manifest says")


def check_image(image: Path, item: Item, archive: Path) -> None:
    """Make sure that an image's own archive brings the name that it is listed under, and no other.

    Names stand in `manifest.json` and `repositories` (Docker's form) and in `index.json` (the OCI's).

    Raises:
        UsageError: it does not.
    """
    found: dict[str, Any] = {}
    with _opened(image, archive) as file:
        for number, member in enumerate(_headers(file)):
            if number > _MOST_INSIDE or (member.type in _EXTENSIONS and member.size > _MOST_EXTENSION):
                raise bad(archive, f"{item.member} is no image that Docker wrote")
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if member.name.removeprefix("./") in {"manifest.json", "index.json", "repositories"}:
                    opened = tar.extractfile(member) if member.size <= _MOST_FILE else None
                    found[member.name.removeprefix("./")] = json.loads(opened.read()) if opened is not None else None
        names = {full(name) for name in _names(found)}
    if names != {full(item.name)}:
        raise bad(archive, f"{item.member} is not {item.reference} alone")


def _names(found: dict[str, Any]) -> Iterator[str]:
    for image in found.get("manifest.json") or ():
        yield from image.get("RepoTags") or ()
    for repository, tags in (found.get("repositories") or {}).items():
        for tag in tags:
            yield f"{repository}:{tag}"
    for entry in (found.get("index.json") or {}).get("manifests") or ():
        if name := (entry.get("annotations") or {}).get("io.containerd.image.name"):
            yield str(name)


@contextlib.contextmanager
def _opened(file: Path, archive: Path | None = None) -> Iterator[IO[bytes]]:
    """A file to read; what is no tar, no JSON or no such record in it is an error about the archive."""
    shown = archive or file
    try:
        with file.open("rb") as opened:
            yield opened
    except FileNotFoundError as error:
        raise UsageError(f"{shown} is not there", remedy="netdojo lab prepare --save FILE writes one") from error
    except (tarfile.TarError, EOFError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise bad(shown, str(error) or type(error).__name__) from error
    except (IsADirectoryError, PermissionError) as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}", remedy="name a file that you may read") from error


def _headers(file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """Each header block by itself, without what extensions make of it; `offset_data` is set."""
    while (block := file.read(tarfile.BLOCKSIZE)) and block.strip(b"\0"):
        member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        member.offset_data = file.tell()
        if member.size < 0:
            raise tarfile.HeaderError("a negative size")
        yield member
        file.seek(member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)


def _members(file: IO[bytes], archive: Path) -> dict[str, tarfile.TarInfo]:
    found: dict[str, tarfile.TarInfo] = {}
    for member in _headers(file):
        limit = _MOST_IMAGE if member.name.startswith("images/") else _MOST_FILE
        plain = member.type in {tarfile.REGTYPE, tarfile.AREGTYPE}
        if not plain or not _MEMBER.fullmatch(member.name) or member.name in found or member.size > limit:
            raise bad(archive, f"it has a member {member.name[:80]!r}, which does not belong there")
        if len(found) >= _MOST_MEMBERS:
            raise bad(archive, "it has too many members")
        found[member.name] = member
    return found


def _chunks(file: IO[bytes], member: tarfile.TarInfo) -> Iterator[bytes]:
    file.seek(member.offset_data)
    left = member.size
    while left:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            raise EOFError("it ends too early")
        left -= len(chunk)
        yield chunk


def _contents(found: Any, archive: Path) -> Contents:  # noqa: ANN401 - a stranger's JSON
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise bad(archive, "its manifest is another's")
    if found.get("version") != VERSION:
        raise UsageError(f"{archive} is of another version of netdojo", remedy="update netdojo on both machines")
    contents = Contents(
        tuple(Item(**item) for item in found["images"]),
        tuple(Item(**item) for item in found["files"]),
        str(found.get("kind", "")),
    )
    for item in (*contents.images, *contents.files):
        texts = (item.member, item.name, item.reference, item.purpose, item.pin, item.digest)
        sound = all(isinstance(text, str) and text.isprintable() for text in texts)
        if not sound or not _DIGEST.fullmatch(item.digest):
            raise bad(archive, "its manifest is damaged")
    for item in contents.images:
        if not images.is_name(item.reference) or item.name != images.alias(item.reference):
            raise bad(archive, f"{item.reference[:80]!r} is no name of an image")
    return contents


def bad(archive: Path, why: str) -> UsageError:
    """The error about an archive that cannot be used."""
    return UsageError(
        f"{archive} is no archive of netdojo lab prepare --save, or a damaged one: {why}",
        remedy="copy it again, and compare its sha256 with what was printed when it was saved",
    )
