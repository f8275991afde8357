"""An image's own archive: what docker save writes is taken, what engines may read otherwise is refused."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from content.errors import UsageError
from labs.kind import archive

if TYPE_CHECKING:
    from pathlib import Path


LISTED = json.dumps([{"Config": "c.json", "RepoTags": ["calico/node:v3"], "Layers": []}]).encode()


TWO = json.dumps([{"Config": "c.json", "RepoTags": ["calico/node:v3", "ubuntu:latest"], "Layers": []}]).encode()


FOLDER, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
HEX, LAYER = ("a" * 64, "b" * 64), b"x" * 700


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, len(data), link
    return made.tobuf(tarfile.USTAR_FORMAT) + data.ljust(-(-len(data) // 512) * 512, b"\0")


def patched(header: bytes, at: int, field: bytes) -> bytes:
    """A header with another field, and the checksum of that."""
    header = header[:at] + field + header[at + len(field) :]
    total = sum(header[:148]) + 8 * 32 + sum(header[156:512])
    return header[:148] + b"%06o\0 " % total + header[156:]


def index(**notes: str) -> bytes:
    known = {"image": "io.containerd.image.name", "ref": "org.opencontainers.image.ref.name"}
    annotations = {known[key]: value for key, value in notes.items()}
    return json.dumps({"schemaVersion": 2, "manifests": [{"size": 1, "annotations": annotations}]}).encode()


def check(folder: Path, *members: bytes) -> None:
    (folder / "image").write_bytes(b"".join(members) + b"\0" * 1024)
    item = archive.Item("images/01.tar", "calico/node:v3", reference="calico/node:v3")
    archive.check_image(folder / "image", item, folder / "room.tar")


OLD = (
    member(f"{HEX[0]}/", kind=FOLDER),
    member(f"{HEX[0]}/VERSION", b"1.0"),
    member(f"{HEX[0]}/layer.tar", LAYER),
    member(f"{HEX[1]}/", kind=FOLDER),
    member(f"{HEX[1]}/layer.tar", kind=LINK, link=f"../{HEX[0]}/layer.tar"),
    member(f"{'c' * 64}.json", b"{}"),
    member("manifest.json", LISTED),
    member("repositories", b'{"calico/node": {"v3": "' + HEX[1].encode() + b'"}}'),
)


NEW = (
    member("blobs/", kind=FOLDER),
    member("blobs/sha256/", kind=FOLDER),
    member(f"blobs/sha256/{HEX[0]}", LAYER),
    member("index.json", index(image="docker.io/calico/node:v3", ref="v3")),
    member("manifest.json", LISTED),
    member("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
)


@pytest.mark.parametrize(
    "members",
    [OLD, (*NEW, OLD[-1]), NEW],
    ids=["Docker up to 24", "Docker 25 and later", "with containerd's images"],
)
def test_what_docker_save_writes_is_taken(tmp_path: Path, members: tuple[bytes, ...]) -> None:
    check(tmp_path, *members)
    with pytest.raises(UsageError, match=r"is not .* alone"):  # and was read: without its records it has no name
        check(tmp_path, *(each for each in members if not each.startswith((b"manifest.json", b"index.json", b"repos"))))


GOOD = member("manifest.json", LISTED)


RECORDS = ("manifest.json", "././manifest.json", ".//manifest.json", "/manifest.json", "x/../manifest.json")


def pax(**records: str) -> bytes:
    """An extended header: readers do not agree on which of its records count, and for what."""
    lines = [f" {key.replace('_', '.')}={value}\n" for key, value in records.items()]
    text = "".join(f"{len(line) + 2}{line}" for line in lines)
    return member("pax", text.encode(), tarfile.XHDTYPE)


@pytest.mark.parametrize(
    "members",
    [
        *((GOOD, member(name, TWO)) for name in RECORDS),
        (member("./manifest.json", LISTED),),
        (GOOD, member("x", kind=LINK, link="."), member("x/manifest.json", TWO)),
        (GOOD, member("x", TWO), member("index.json", kind=HARD, link="x")),
        (member("x", LISTED), member("manifest.json", kind=LINK, link="x")),
        (GOOD, member("a/layer.tar", kind=LINK, link="../../etc/layer.tar")),
        (GOOD, member("manifest.json/", kind=FOLDER)),
        (GOOD, member("index.json", index(ref="docker.io/library/ubuntu:latest"))),
        (GOOD, member("index.json", index(image="", ref="docker.io/library/ubuntu:latest"))),
        (member("manifest.json", LISTED.replace(b'"Layers": []', b'"repotags": ["ubuntu:latest"]')),),
        (member("manifest.json", LISTED.replace(b'"Layers": []', '"RepoTag\u017f": ["ubuntu"]'.encode())),),
        (GOOD, member("repositories", b'{"ubuntu": {"latest": "x"}, "ubuntu": {}}')),
        (GOOD, pax(path="manifest.json"), member("x", TWO)),
        (GOOD, pax(GNU_sparse_name="x"), member("manifest.json", TWO)),
        (patched(member("manifest.json"), 345, b"x"), GOOD),
        (GOOD, patched(member("x"), 124, b"\0\0\00000001000"), member("y", member("manifest.json", TWO))),
        (GOOD, patched(member("x", kind=FOLDER), 124, b"%011o" % 1024), member("manifest.json", TWO)),
        (member("P*M\x18\x01\x01\x01\x01"), GOOD),
    ],
)
def test_what_an_engine_may_read_otherwise_is_refused(tmp_path: Path, members: tuple[bytes, ...]) -> None:
    with pytest.raises(UsageError, match="no archive of netdojo lab prepare"):
        check(tmp_path, *members)


@pytest.mark.parametrize("size", [b"\x80\0\0\0@\0\0\0\0\0\0\0", b"77777777777\0"], ids=["2^62", "8 GiB"])
def test_a_member_larger_than_its_file(tmp_path: Path, size: bytes) -> None:
    huge = patched(member("images/01.tar"), 124, size)
    (tmp_path / "room.tar").write_bytes(huge)
    with pytest.raises(UsageError, match="no archive of netdojo lab prepare"):
        archive.read(tmp_path / "room.tar")
    with pytest.raises(UsageError, match="no archive of netdojo lab prepare"):
        check(tmp_path, GOOD, huge)
