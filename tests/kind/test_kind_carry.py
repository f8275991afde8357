"""A classroom's needs from one engine into another that is empty, through a file."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from labs.kind import carry, dockersdk, images
from labs.kind.images import Needed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.kind, pytest.mark.slow, pytest.mark.timeout(600)]
_BY_DIGEST = "netdojo-test/by-digest:1@sha256:" + "c" * 64


@pytest.fixture
def empty_docker(tmp_path: Path) -> Iterator[str]:
    """A second engine with nothing in it, and no network of its own; it ends with the test."""
    program = shutil.which("dockerd")
    if program is None or os.geteuid() != 0:
        pytest.skip("kind: no dockerd to start a second engine with, or not root")
    url = f"unix://{tmp_path}/docker.sock"
    options = ("--bridge=none", "--iptables=false", "--ip6tables=false")
    folders = ("--data-root", tmp_path / "data", "--exec-root", tmp_path / "exec", "--pidfile", tmp_path / "pid")
    with (tmp_path / "log").open("wb") as log:
        engine = subprocess.Popen([program, *folders, *options, "-H", url], stdout=log, stderr=log)
    try:
        limit = time.monotonic() + 120
        while not _answers(url):
            assert engine.poll() is None, (tmp_path / "log").read_text()[-2000:]
            assert time.monotonic() < limit, "the second engine never answered"
            time.sleep(0.2)
        yield url
    finally:
        engine.terminate()
        engine.wait(60)


def _answers(url: str) -> bool:
    asked = subprocess.run(["docker", "-H", url, "info"], capture_output=True, check=False)
    return asked.returncode == 0


def test_an_empty_engine_gets_what_the_other_has(
    kind_bed: Any, empty_docker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del kind_bed
    agnhost = "registry.k8s.io/e2e-test-images/agnhost:2.53"
    first = dockersdk.connect()
    file, cache = tmp_path / "room.tar", tmp_path / "state" / "files"
    needed = (Needed(agnhost, "labs"), Needed(_BY_DIGEST, "nodes"))

    async def save() -> None:
        # As if it had been pulled by this digest: under the name that such an image has after a journey.
        await first.tag(agnhost, images.alias(_BY_DIGEST))
        await carry.save(first, needed, (), cache, file, lambda _: None)

    try:
        asyncio.run(save())
    finally:
        subprocess.run(["docker", "rmi", images.alias(_BY_DIGEST)], capture_output=True, check=False)
        first.close()

    monkeypatch.setenv("DOCKER_HOST", empty_docker)
    second = dockersdk.connect()

    async def load() -> tuple[str, ...]:
        assert await images.missing(second, needed) == needed
        loaded, _ = await carry.load(second, file, cache, tmp_path / "keep", lambda _: None)
        assert await images.missing(second, needed) == ()
        assert await images.resolve(second, _BY_DIGEST) == images.alias(_BY_DIGEST)
        assert (await carry.load(second, file, cache, tmp_path / "keep", lambda _: None))[0] == ()
        return loaded

    try:
        assert asyncio.run(load()) == (agnhost, _BY_DIGEST)
    finally:
        second.close()
    ran = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"], capture_output=True, text=True, check=True
    )
    assert sorted(ran.stdout.split()) == sorted([agnhost, images.alias(_BY_DIGEST)])
