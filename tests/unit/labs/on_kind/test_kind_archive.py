"""From one engine into a file and into another engine; and files that somebody made to do harm."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from content.errors import UsageError
from grader.errors import InfrastructureError
from labs.kind import archive, carry, images, pins, prepare
from labs.kind.calico import sources
from labs.kind.calico.sources import Source
from labs.kind.images import Needed
from labs.kind.settings import KindSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

DIGEST = "sha256:" + "a" * 64
NODE = f"kindest/node:v1@{DIGEST}"
MANIFEST = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: calico/node:v3}]}\n"


def docker_image(*names: str, extra: Mapping[str, bytes] | None = None) -> bytes:
    """An archive as Docker writes it, of an image with these names."""
    written = io.BytesIO()
    members = {"layer.tar": b"x" * 700, "manifest.json": json.dumps([{"RepoTags": list(names) or None}]).encode()}
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, data in {**members, **(extra or {})}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return written.getvalue()


def _write(target: Path, data: bytes) -> None:
    target.write_bytes(data)


def inside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


class ImageEngine:
    """Remembers images by name, as an engine does; an archive's own names are the ones that it loads."""

    def __init__(self, has: Iterable[str] = (), registry: Iterable[str] = ()) -> None:
        self.has: dict[str, str] = {name: f"id of {name}" for name in has}
        self.registry = set(registry)
        self.full_after = 99

    async def images(self, references: Iterable[str]) -> Mapping[str, str]:
        return {name: self.has[name] for name in references if name in self.has}

    async def tag(self, reference: str, name: str) -> None:
        self.has[name] = self.has[reference]

    async def pull(self, reference: str, progress: Callable[[str], None]) -> None:
        if reference not in self.registry:
            raise InfrastructureError(f"{reference} cannot be fetched: no network", remedy="prepare --load")
        progress("Downloaded")
        self.has[reference] = f"id of {reference}"

    async def save(self, reference: str, target: Path) -> None:
        if reference not in self.has:
            raise InfrastructureError(f"an image is missing: {reference}", remedy="prepare")
        self.full_after -= 1
        if self.full_after < 0:
            raise OSError(28, "No space left on device")
        _write(target, docker_image(reference))

    async def load(self, file: Path) -> tuple[str, ...]:
        with tarfile.open(file) as tar:
            found = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type] # it is a file
        self.has |= dict.fromkeys(found[0]["RepoTags"], "loaded")
        return tuple(found[0]["RepoTags"])


NEEDED = (Needed(NODE, "nodes"), Needed("calico/node:v3", "Calico"), Needed("registry.k8s.io/agnhost:2", "lab a"))


async def saved(engine: Any, tmp_path: Path, files: tuple[Source, ...] = ()) -> Path:
    target = tmp_path / "room.tar"
    await carry.save(engine, NEEDED, files, tmp_path / "cache", target, lambda _: None)
    return target


async def test_an_empty_engine_has_afterwards_what_the_other_had(tmp_path: Path) -> None:
    manifest = tmp_path / "calico.yaml"
    manifest.write_text(MANIFEST)
    remote = Source("https://example.org/operator.yaml")
    (tmp_path / "cache").mkdir()
    sources.place_in(tmp_path / "cache", remote).write_text(MANIFEST)
    first = ImageEngine(item.reference for item in NEEDED)
    target = tmp_path / "room.tar"
    told: list[str] = []
    contents = await carry.save(
        first,  # type: ignore[arg-type] # as much of it as is asked
        NEEDED,
        (remote, Source(str(manifest))),
        tmp_path / "cache",
        target,
        told.append,
    )
    assert contents.digest == "sha256:" + hashlib.sha256(target.read_bytes()).hexdigest()
    assert contents.size == target.stat().st_size
    assert told[0] == f"saving {NODE} (1 of 3)"
    assert dataclasses.replace(contents, size=0) == archive.read(target)
    assert str(tmp_path) not in target.read_bytes().decode(errors="replace"), "no path of the one who saved"

    second: Any = ImageEngine(["calico/node:v3"])
    loaded, files = await carry.load(second, target, tmp_path / "state" / "files", tmp_path / "keep", told.append)
    assert loaded == (NODE, "registry.k8s.io/agnhost:2")
    assert second.has["calico/node:v3"] == "id of calico/node:v3", "what was there stays as it is"
    assert await images.resolve(second, NODE) == images.alias(NODE) in second.has
    assert await images.missing(second, NEEDED) == ()
    assert [file.read_text() for file in files] == [MANIFEST]
    assert sources.fetch(remote, tmp_path / "state" / "files", told.append) == MANIFEST.encode()
    assert inside(tmp_path / "state") == ["files"], "nothing is left"

    again, _ = await carry.load(second, target, tmp_path / "state" / "files", tmp_path / "keep", told.append)
    assert again == ()


async def test_a_disk_that_fills_leaves_no_half_file(tmp_path: Path) -> None:
    engine = ImageEngine(item.reference for item in NEEDED)
    engine.full_after = 2
    with pytest.raises(InfrastructureError, match="No space left") as caught:
        await saved(engine, tmp_path)
    assert "free some space" in caught.value.remedy
    assert inside(tmp_path) == []


async def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "room.tar").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        await saved(ImageEngine(item.reference for item in NEEDED), tmp_path)
    assert (tmp_path / "room.tar").read_text() == "mine"


def rewritten(file: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> None:
    """The archive with other members, and a manifest that tells of them as one who does harm would have it."""
    with tarfile.open(file) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr] # files
    known = json.loads(members.pop("manifest.json"))
    change(members, known)
    for item in (*known.get("images", ()), *known.get("files", ())):
        if item["member"] in members and "keep" not in item:
            data = members[item["member"]]
            item.update(size=len(data), digest="sha256:" + hashlib.sha256(data).hexdigest())
        item.pop("keep", None)
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in {**members, "manifest.json": json.dumps(known).encode()}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def another_name(members: dict[str, bytes], _: dict[str, Any]) -> None:
    members["images/02.tar"] = docker_image("ubuntu:latest")


def one_name_more(members: dict[str, bytes], _: dict[str, Any]) -> None:
    members["images/02.tar"] = docker_image("calico/node:v3", "ubuntu:latest")


def a_name_in_the_index(members: dict[str, bytes], _: dict[str, Any]) -> None:
    index = {"manifests": [{"annotations": {"io.containerd.image.name": "docker.io/library/ubuntu:latest"}}]}
    members["images/02.tar"] = docker_image("calico/node:v3", extra={"index.json": json.dumps(index).encode()})


def a_name_in_the_old_form(members: dict[str, bytes], _: dict[str, Any]) -> None:
    repositories = json.dumps({"ubuntu": {"latest": "x"}}).encode()
    members["images/02.tar"] = docker_image("calico/node:v3", extra={"./repositories": repositories})


def no_name(members: dict[str, bytes], _: dict[str, Any]) -> None:
    members["images/02.tar"] = docker_image()


def no_image(members: dict[str, bytes], _: dict[str, Any]) -> None:
    members["images/02.tar"] = b"not a tar" * 100


def a_long_header(members: dict[str, bytes], _: dict[str, Any]) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 20
    members["images/02.tar"] = header.tobuf(tarfile.USTAR_FORMAT) + b"1" * (1 << 20)


def another_place(members: dict[str, bytes], known: dict[str, Any]) -> None:
    members["../../evil"] = members.pop("images/02.tar")
    known["images"][1]["member"] = "../../evil"


def a_member_that_is_not_there(members: dict[str, bytes], known: dict[str, Any]) -> None:
    del members["images/02.tar"]
    known["images"][1]["keep"] = True


def another_checksum(members: dict[str, bytes], known: dict[str, Any]) -> None:
    members["images/02.tar"] = members["images/02.tar"][:-1] + b"!"
    known["images"][1]["keep"] = True


def a_reference_that_is_an_option(_: dict[str, bytes], known: dict[str, Any]) -> None:
    known["images"][1].update(reference="--all", name="--all")


def a_reference_for_another(_: dict[str, bytes], known: dict[str, Any]) -> None:
    known["images"][1].update(reference="calico/node:v3", name="ubuntu:latest")


def a_wrong_type(_: dict[str, bytes], known: dict[str, Any]) -> None:
    known["images"][1]["name"] = ["a"]


def a_field_more(_: dict[str, bytes], known: dict[str, Any]) -> None:
    known["images"][1]["run"] = "rm"


def control_characters(_: dict[str, bytes], known: dict[str, Any]) -> None:
    known["images"][1]["purpose"] = "\x1b[2J"


def another_format(_: dict[str, bytes], known: dict[str, Any]) -> None:
    known["format"] = "something else"


HARM = [
    another_name,
    one_name_more,
    a_name_in_the_index,
    a_name_in_the_old_form,
    no_name,
    no_image,
    a_long_header,
    another_place,
    a_member_that_is_not_there,
    another_checksum,
    a_reference_that_is_an_option,
    a_reference_for_another,
    a_wrong_type,
    a_field_more,
    control_characters,
    another_format,
]


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
async def test_an_archive_that_is_not_as_it_says_loads_nothing_of_it(
    tmp_path: Path, harm: Callable[[dict[str, bytes], dict[str, Any]], None]
) -> None:
    file = await saved(ImageEngine(item.reference for item in NEEDED), tmp_path)
    rewritten(file, harm)
    engine: Any = ImageEngine()
    with pytest.raises(UsageError, match="no archive of netdojo lab prepare"):
        await carry.load(engine, file, tmp_path / "state" / "files", tmp_path / "keep", lambda _: None)
    assert not {"ubuntu:latest", "calico/node:v3"} & set(engine.has)
    assert set(inside(tmp_path)) <= {"room.tar", "state"}
    assert inside(tmp_path / "state") == []


async def test_a_file_that_is_what_its_pin_says_is_not_replaced_by_another(tmp_path: Path) -> None:
    pinned = Source("https://example.org/operator.yaml", "sha256:" + hashlib.sha256(MANIFEST.encode()).hexdigest())
    kept = sources.place_in(tmp_path / "cache", pinned)
    kept.parent.mkdir()
    kept.write_text(MANIFEST)
    engine: Any = ImageEngine(item.reference for item in NEEDED)
    file = await saved(engine, tmp_path, (pinned,))
    await carry.load(engine, file, tmp_path / "cache", tmp_path / "keep", lambda _: None)
    rewritten(file, lambda members, _: members.update({"files/01.yaml": b"kind: Evil"}))
    with pytest.raises(UsageError, match=r"operator\.yaml' is not the file that its digest says"):
        await carry.load(engine, file, tmp_path / "cache", tmp_path / "keep", lambda _: None)
    assert kept.read_text() == MANIFEST


@pytest.mark.parametrize("content", [b"", b"\0" * 10240, b"hello", b"\x1f\x8b\x08" + b"\0" * 600])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "room.tar"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="no archive of netdojo lab prepare"):
        archive.read(file)


async def test_an_archive_that_was_cut(tmp_path: Path) -> None:
    file = await saved(ImageEngine(item.reference for item in NEEDED), tmp_path)
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(UsageError, match="no archive of netdojo lab prepare"):
        archive.read(file)


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "room.tar"
    with tarfile.open(file, "w") as tar:
        member = tarfile.TarInfo("images/01.tar")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(UsageError, match="does not belong there"):
        archive.read(file)


async def test_what_is_missing_is_fetched_once_and_by_its_pinned_digest(tmp_path: Path) -> None:
    calico = tmp_path / "calico.yaml"
    calico.write_text(MANIFEST)
    settings = KindSettings(node_image="node:1", calico=str(calico))
    pinned = images.exact(pins.AGNHOST_IMAGE)
    assert pinned == f"registry.k8s.io/e2e-test-images/agnhost@{pins.AGNHOST_DIGEST}"
    engine: Any = ImageEngine(["node:1"], registry=[pinned])
    before = await prepare.plan(engine, settings, (), tmp_path / "cache")
    assert [item.reference for item in before.images] == ["calico/node:v3", pins.AGNHOST_IMAGE]
    with pytest.raises(InfrastructureError, match=r"calico/node:v3 cannot be fetched: no network"):
        await prepare.fetch(engine, settings, (), tmp_path / "cache", lambda _: None)
    assert pins.AGNHOST_IMAGE in engine.has, "what could be had stays"
    engine.registry.add("calico/node:v3")
    assert (await prepare.fetch(engine, settings, (), tmp_path / "cache", lambda _: None)).complete


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("busybox", "docker.io"),
        ("calico/node:v3", "docker.io"),
        (NODE, "docker.io"),
        ("quay.io/calico/node:v3", "quay.io"),
        ("localhost/a", "localhost"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000"),
    ],
)
def test_where_an_image_comes_from(reference: str, registry: str) -> None:
    assert images.registry_of(reference) == registry
