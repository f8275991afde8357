"""Every fault that can be seen before a cluster is made: what is said, what to do, and that nothing goes on."""

from __future__ import annotations

import dataclasses
import socket
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError, NotCapableError
from labs.doctor import Finding
from labs.kind import checkup, preflight
from labs.kind.engine import KIND_CLUSTER, Container
from labs.kind.images import Needed
from labs.kind.settings import KindSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

GIB = 1 << 30
INFO = {
    "Version": "29.1.0",
    "Architecture": "x86_64",
    "CgroupVersion": "2",
    "MemTotal": 16 * GIB,
    "OperatingSystem": "Debian GNU/Linux 13",
    "SecurityOptions": ["name=seccomp,profile=default"],
}
GOOD = preflight.Host(docker_program=True, watches=1 << 20, instances=1024, init=False, disk_free=100 * GIB)
SETTINGS = KindSettings(node_image="node:1")
PATCHED = KindSettings(patches="kind: KubeletConfiguration\nfailCgroupV1: false\n")


class AskedEngine:
    """Answers what a test has set."""

    def __init__(self, info: Mapping[str, Any] | Exception = INFO, clusters: tuple[str, ...] = ()) -> None:
        self._info, self._clusters = info, clusters
        self.has: dict[str, str] = {}

    async def info(self) -> Mapping[str, Any]:
        if isinstance(self._info, Exception):
            raise self._info
        return self._info

    async def containers(self, labels: Mapping[str, str | None]) -> tuple[Container, ...]:
        assert labels == {KIND_CLUSTER: None}
        return tuple(Container(name, f"{name}-1", "running", labels={KIND_CLUSTER: name}) for name in self._clusters)

    async def images(self, references: Any) -> Mapping[str, str]:
        return {name: self.has[name] for name in references if name in self.has}


class AskedProgram:
    def __init__(self, version: tuple[int, ...] | Exception = (0, 33, 0)) -> None:
        self._version = version

    async def version(self) -> tuple[int, ...]:
        if isinstance(self._version, Exception):
            raise self._version
        return self._version


ROOTLESS = {"SecurityOptions": ["name=rootless"]}
DESKTOP = {"OperatingSystem": "Docker Desktop"}
FINE, LESS, MISSING = Finding.FINE, Finding.LESS, Finding.MISSING


@pytest.mark.parametrize(
    ("changed", "facts", "settings", "what", "finding", "said", "remedy"),
    [
        pytest.param({}, {}, SETTINGS, "Docker", FINE, "Docker 29.1.0 answers", "", id="as it should be"),
        pytest.param({"Version": "19.3.1"}, {}, SETTINGS, "Docker", MISSING, "20.10 or newer", "update", id="old"),
        pytest.param(ROOTLESS, {}, SETTINGS, "Docker", FINE, "rootless Docker", "", id="rootless"),
        pytest.param(
            {**ROOTLESS, "CgroupVersion": "1"}, {}, PATCHED, "Docker", MISSING, "cgroup v2", "boot", id="rootless v1"
        ),
        pytest.param(DESKTOP, {}, SETTINGS, "Docker", FINE, "Docker Desktop 29.1.0", "", id="Desktop"),
        pytest.param(
            {},
            {"docker_program": False},
            SETTINGS,
            "docker program",
            MISSING,
            "not on the path",
            "install",
            id="CLI",
        ),
        pytest.param({"Architecture": "aarch64"}, {}, SETTINGS, "architecture", FINE, "arm64", "", id="arm"),
        pytest.param(
            {"Architecture": "riscv64"}, {}, SETTINGS, "architecture", LESS, "riscv64", "kind.node_image", id="riscv"
        ),
        pytest.param({"CgroupVersion": "1"}, {}, SETTINGS, "cgroups", MISSING, "1.35", "failCgroupV1", id="cgroup v1"),
        pytest.param({"CgroupVersion": "1"}, {}, PATCHED, "cgroups", FINE, "told to accept", "", id="patched"),
        pytest.param({"MemTotal": GIB}, {}, SETTINGS, "memory", MISSING, "1.0 GiB", "end what", id="no memory"),
        pytest.param({"MemTotal": 3 * GIB}, {}, SETTINGS, "memory", LESS, "one cluster", "end what", id="low memory"),
        pytest.param(
            {**DESKTOP, "MemTotal": GIB}, {}, SETTINGS, "memory", MISSING, "1.0", "Settings", id="Desktop's memory"
        ),
        pytest.param(
            {},
            {"watches": 8192, "instances": 128},
            SETTINGS,
            "inotify",
            LESS,
            "too many open files",
            "max_user_watches=524288 fs.inotify.max_user_instances=512",
            id="inotify",
        ),
        pytest.param({}, {"instances": 128}, SETTINGS, "inotify", LESS, "128", "max_user_instances=512", id="fewer"),
        pytest.param({}, {"init": True}, SETTINGS, "init", MISSING, '"init": true', "daemon.json", id="init"),
        pytest.param({}, {"disk_free": GIB}, SETTINGS, "disk", MISSING, "1.0 GiB", "docker system df", id="disk full"),
        pytest.param({}, {"disk_free": 5 * GIB}, SETTINGS, "disk", LESS, "5.0 GiB", "data-root", id="little disk"),
        pytest.param({}, {"disk_free": -1}, SETTINGS, "disk", FINE, "not seen from here", "", id="disk elsewhere"),
    ],
)
def test_each_need_has_a_verdict_and_a_remedy(
    changed: dict[str, Any],
    facts: dict[str, Any],
    settings: KindSettings,
    what: str,
    finding: Finding,
    said: str,
    remedy: str,
) -> None:
    found = preflight.of_engine({**INFO, **changed}, dataclasses.replace(GOOD, **facts), settings)
    one = next(each for each in found if each.what == what)
    assert (one.finding, said in one.detail) == (finding, True), one
    assert remedy in " ".join(one.remedies)
    assert bool(one.remedies) == (finding is not FINE)
    if finding is MISSING:
        with pytest.raises(InfrastructureError) as caught:
            preflight.refuse(found)
        assert caught.value.message.startswith(f"kind clusters cannot run here: {what}: ")
        assert caught.value.remedy
    else:
        preflight.refuse(found)


@pytest.mark.parametrize(
    ("version", "finding", "said"),
    [
        ((0, 33, 0), FINE, "kind 0.33.0"),
        ((0, 34, 1), FINE, "kind 0.34.1"),
        ((0, 32, 0), LESS, "made for 0.33.0"),
        ((0, 24, 0), MISSING, "0.31 or newer"),
        (NotCapableError("the program kind is not on the path"), MISSING, "not on the path"),
    ],
)
async def test_the_kind_program(version: Any, finding: Finding, said: str) -> None:
    found = await preflight.of_kind(AskedProgram(version))  # type: ignore[arg-type] # as much of it as is asked
    assert (found.finding, said in found.detail) == (finding, True), found
    assert bool(found.remedies) == (finding is not FINE)


async def test_an_engine_that_falls_silent_is_told_and_nothing_goes_on() -> None:
    engine: Any = AskedEngine(InfrastructureError("no Docker engine answers: reset", remedy="start Docker"))
    with pytest.raises(InfrastructureError, match="no Docker engine answers") as caught:
        await checkup.require(engine, AskedProgram(), SETTINGS)  # type: ignore[arg-type] # as above
    assert "start Docker" in caught.value.remedy


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_port_that_is_taken(protocol: str) -> None:
    kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if protocol == "TCP":
            taken.listen()
        number = taken.getsockname()[1]
        found = preflight.ports([(number, protocol)])
    assert found.finding is MISSING
    assert f"{number}/{protocol}" in found.detail
    assert preflight.ports([(number, protocol)]).finding is FINE


async def test_clusters_with_our_names_and_no_record_are_named_and_left_alone() -> None:
    engine: Any = AskedEngine(clusters=("netdojo-1-1", "netdojo-2-1", "mine"))
    found = await preflight.strangers(engine, ["netdojo-1-1"])
    assert found.finding is LESS
    assert "netdojo-2-1" in found.detail
    assert "netdojo-1-1" not in found.detail
    assert "mine" not in found.detail
    fine = await preflight.strangers(engine, ["netdojo-1-1", "netdojo-2-1"], 1)
    assert (fine.finding, fine.detail) == (FINE, "2 of netdojo's (1 free for the next lab), 1 of others")


async def test_images_that_would_be_fetched_are_told_with_their_registry() -> None:
    engine: Any = AskedEngine()
    engine.has = {"docker.io/library/here:1": "sha256:1", "here:1": "sha256:1"}
    wanted = (Needed("here:1", "nodes"), Needed("quay.io/calico/node:v3", "Calico"), Needed("busy/box", "lab a"))
    found = await preflight.of_images(engine, wanted)
    assert found.finding is LESS
    assert found.detail == "2 of 3 would have to be fetched, from docker.io, quay.io"
    assert any("--load" in remedy for remedy in found.remedies)
