"""What clusters need, from an engine into one file, and from the file into another engine (`labs.kind.archive`)."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import tarfile
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from content.errors import UsageError
from labs import store
from labs.kind import archive, images, pins, scratch
from labs.kind.archive import Contents, Item
from labs.kind.calico import sources
from labs.kind.calico.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labs.kind.engine import Engine
    from labs.kind.images import Needed

_CHUNK = 1 << 20
_MB = 1 << 20


async def save(
    engine: Engine,
    needed: Sequence[Needed],
    files: Sequence[Source],
    cache: Path,
    target: Path,
    progress: Callable[[str], None],
) -> Contents:
    """Write all of it to a file, which is there as a whole or not at all. `digest` of the result is the file's own.

    Raises:
        InfrastructureError: the engine lacks an image, or the disk is full.
        UsageError: there is such a file.
    """
    with store.explained("write", target):
        await asyncio.to_thread(_refuse_old, target)
        with scratch.folder(cache.parent, target.parent, target.name) as folder:
            part = folder / "archive"
            contents = await _write(engine, needed, files, cache, part, progress)
            part.replace(target)
    return contents


def _refuse_old(target: Path) -> None:
    if target.exists():
        raise UsageError(f"{target} is there already", remedy="remove it, or name another file")


async def _write(
    engine: Engine,
    needed: Sequence[Needed],
    files: Sequence[Source],
    cache: Path,
    part: Path,
    progress: Callable[[str], None],
) -> Contents:
    kept_files, kept_images = [], []
    one = part.with_name("one")
    with part.open("wb") as raw:
        hashing = _Hashing(raw)
        with tarfile.open(fileobj=cast("IO[bytes]", hashing), mode="w|", format=tarfile.USTAR_FORMAT) as tar:
            for number, source in enumerate(files, 1):
                one.write_bytes(await asyncio.to_thread(sources.content, source, cache, progress))
                name = source.place if source.remote else Path(source.place).name
                item = Item(f"files/{number:02}.yaml", name, pin=source.digest)
                kept_files.append(await asyncio.to_thread(_add, tar, one, item))
            for number, image in enumerate(needed, 1):
                progress(f"saving {image.reference} ({number} of {len(needed)})")
                name = images.alias(image.reference)
                if name != image.reference:  # an archive carries no digests: it travels under a name made from it
                    await engine.tag(await images.resolve(engine, image.reference), name)
                await engine.save(name, one)
                item = Item(f"images/{number:02}.tar", name, reference=image.reference, purpose=image.purpose)
                kept_images.append(await asyncio.to_thread(_add, tar, one, item))
                one.unlink()
            contents = Contents(tuple(kept_images), tuple(kept_files), pins.KIND)
            known = {"format": archive.FORMAT, "version": archive.VERSION, **asdict(contents)}
            one.write_text(json.dumps(known, indent=1), encoding="utf-8")
            _add(tar, one, Item(archive.MANIFEST, ""))
    return dataclasses.replace(contents, size=hashing.written, digest=hashing.digest())


class _Hashing:
    """A file that is written once, from its beginning, and knows its checksum at the end."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._hash = hashlib.sha256()
        self.written = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.written += len(data)
        return self._raw.write(data)

    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()


def _add(tar: tarfile.TarFile, file: Path, item: Item) -> Item:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
        member = tarfile.TarInfo(item.member)
        member.size = opened.tell()
        opened.seek(0)
        tar.addfile(member, opened)
    return dataclasses.replace(item, size=member.size, digest=f"sha256:{digest.hexdigest()}")


async def load(
    engine: Engine, file: Path, cache: Path, keep: Path, progress: Callable[[str], None]
) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """Bring all of it into the engine and the cache; an image that the engine has stays as it is.

    Args:
        engine: the one that lacks them.
        file: as `save` wrote it.
        cache: where fetched files are kept.
        keep: where files go that were no remote ones, for the setting kind.calico to name.
        progress: gets each step.

    Returns:
        Images that were loaded, and files that were kept in `keep`.

    Raises:
        UsageError: the archive is none, or not to be trusted; what came before the fault is loaded.
        InfrastructureError: the engine refuses, or the disk is full.
    """
    contents = await asyncio.to_thread(archive.read, file)
    known = await engine.images([item.name for item in contents.images])
    loaded: list[str] = []
    home = cache.parent
    with store.explained("write below", home), scratch.folder(home, home, "incoming") as folder:
        files = await asyncio.to_thread(_take_files, file, contents, cache, keep)
        for number, item in enumerate(contents.images, 1):
            if item.name in known:
                progress(f"{item.reference} is there already")
                continue
            progress(f"loading {item.reference}, {item.size // _MB} MB ({number} of {len(contents.images)})")
            one = folder / "image"
            await asyncio.to_thread(archive.take, file, item, one)
            await asyncio.to_thread(archive.check_image, one, item, file)
            await engine.load(one)
            loaded.append(item.reference)
    return tuple(loaded), files


def _take_files(file: Path, contents: Contents, cache: Path, keep: Path) -> tuple[Path, ...]:
    kept = []
    for number, item in enumerate(contents.files, 1):
        source = Source(item.name, item.pin)
        target = sources.place_in(cache, source) if source.remote else keep / f"{number:02}.yaml"
        store.make_private(target.parent)
        part = target.with_name(f".{target.name}.part")
        try:
            archive.take(file, item, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        if not source.remote:
            kept.append(target)
    return tuple(kept)
