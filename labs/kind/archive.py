"""The form of the file that carries a classroom's needs to a machine whose engine is empty, and its checks.

It is a plain tar (POSIX.1-1988), without extensions:

    images/NN.tar     an image, as `docker save` writes it
    files/NN.yaml     a file of Calico's manifests
    manifest.json     what each is, its size and sha256; last, since that is known last

The file may come from a stranger: members are checked by name, kind, size and checksum before anything is used, nothing
is extracted under a name of its own, and an image may bring no name but the one that it is listed under. Engines read
an image's tar and JSON by other readers than ours: what two may take differently is refused, as what `docker save`
does not write.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tarfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from content.errors import UsageError
from labs.kind import images
from labs.kind.loading import full

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
_PLAIN = {tarfile.REGTYPE, tarfile.AREGTYPE}
_NORMAL = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
"""Names that an engine does not change before it uses them."""
_RECORDS = {"manifest.json", "index.json", "repositories"}
_LAYER, _SAME_LAYER = re.compile(r"\w+/layer\.tar", re.ASCII), re.compile(r"\.\./\w+/layer\.tar", re.ASCII)
"""A link, and what it leads to: Docker before 25 writes one for a layer that the archive has already."""
_SIZE, _SIZE_FIELD, _PREFIX_FIELD = re.compile(rb"[0-7]{11}[\0 ]"), slice(124, 136), slice(345, 500)
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
    found: dict[str, bytes] = {}
    with _opened(image, archive) as file:
        seen: set[str] = set()
        for member in _headers(file):
            if not _is_dockers(member) or member.name in seen or len(seen) >= _MOST_INSIDE:
                raise bad(archive, f"{item.member} has a member {member.name[:80]!r}, which docker save does not write")
            seen.add(member.name)
            if member.name in _RECORDS:
                found[member.name] = b"".join(_chunks(file, member))
        names = {full(name) for name in _names(found)}
    if names != {full(item.name)}:
        raise bad(archive, f"{item.member} is not {item.reference} alone")


def _is_dockers(member: tarfile.TarInfo) -> bool:
    """Tell whether `docker save` could have written such a member."""
    if not _NORMAL.fullmatch(member.name):
        return False
    if member.name in _RECORDS:
        return member.type in _PLAIN and member.size <= _MOST_FILE
    if member.issym():
        return bool(_LAYER.fullmatch(member.name) and _SAME_LAYER.fullmatch(member.linkname)) and not member.size
    return member.type in _PLAIN or (member.isdir() and not member.size)


def _names(found: dict[str, bytes]) -> Iterator[str]:
    for image in _json(found.get("manifest.json", b"[]"), str.casefold):
        yield from image.get("repotags") or ()
    for repository, tags in _json(found.get("repositories", b"{}")).items():
        for tag in tags:
            yield f"{repository}:{tag}"
    for entry in _json(found.get("index.json", b"{}"), str.casefold).get("manifests") or ():
        notes = entry.get("annotations") or {}
        if name := notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name"):
            yield str(name)


def _json(text: bytes, form: Callable[[str], str] = str) -> Any:  # noqa: ANN401 - a stranger's JSON
    """A record with its keys in one form; none twice. Engines find a field by its name in upper or lower case."""

    def formed(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = {form(key): value for key, value in pairs}
        if len(found) != len(pairs):
            raise ValueError("a key twice")
        return found

    return json.loads(text, object_pairs_hook=formed)


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
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    while (block := file.read(tarfile.BLOCKSIZE)) and block.strip(b"\0"):
        member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        member.offset_data = file.tell()
        if not _SIZE.fullmatch(block[_SIZE_FIELD]) or block[_PREFIX_FIELD].strip(b"\0"):
            raise tarfile.HeaderError("a header of an unusual form")
        if member.size > end - member.offset_data:
            raise EOFError("it ends too early")
        yield member
        file.seek(member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)


def _members(file: IO[bytes], archive: Path) -> dict[str, tarfile.TarInfo]:
    found: dict[str, tarfile.TarInfo] = {}
    for member in _headers(file):
        limit = _MOST_IMAGE if member.name.startswith("images/") else _MOST_FILE
        known = member.type in _PLAIN and _MEMBER.fullmatch(member.name)
        if not known or member.name in found or member.size > limit:
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
    for item in contents.files:
        if item.pin not in {"", item.digest}:  # it would take the place of a file that is what its pin says
            raise bad(archive, f"{item.name[:80]!r} is not the file that its digest says")
    return contents


def bad(archive: Path, why: str) -> UsageError:
    """The error about an archive that cannot be used."""
    return UsageError(
        f"{archive} is no archive of netdojo lab prepare --save, or a damaged one: {why}",
        remedy="copy it again, and compare its sha256 with what was printed when it was saved",
    )
