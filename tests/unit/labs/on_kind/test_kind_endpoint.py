"""Where Docker is said to be, and each way in which it does not answer there."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from typing import TYPE_CHECKING

import pytest

from labs.kind import dockersdk, endpoint
from labs.kind.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


def context(home: Path, name: str, host: str) -> None:
    meta = home / ".docker" / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))


def test_docker_host_wins_over_the_context_and_that_over_the_default(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert endpoint.find(home) == Endpoint("unix:///var/run/docker.sock")
    context(tmp_path, "desktop-linux", "unix:///home/a/.docker/run/docker.sock")
    found = endpoint.find(home)
    assert found == Endpoint("unix:///home/a/.docker/run/docker.sock", "the Docker context desktop-linux")
    assert endpoint.find({**home, "DOCKER_CONTEXT": "default"}).url == "unix:///var/run/docker.sock"
    assert endpoint.find({**home, "DOCKER_HOST": "tcp://127.0.0.1:1"}) == Endpoint("tcp://127.0.0.1:1", "DOCKER_HOST")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"currentContext": 7}', '{"currentContext": "gone"}', "\udcff"])
def test_a_broken_configuration_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert endpoint.find({"DOCKER_CONFIG": str(tmp_path), "HOME": "/"}).url == endpoint.DEFAULT


def test_an_engine_that_listens(listening: Path) -> None:
    assert endpoint.diagnose(Endpoint(f"unix://{listening}")) is None


@pytest.mark.parametrize(
    ("url", "said_by", "code", "said", "remedy"),
    [
        ("unix:///nowhere/docker.sock", "", "missing", "no Docker engine is here", "install Docker"),
        ("unix:///nowhere/docker.sock", "DOCKER_HOST", "missing", "names /nowhere/docker.sock", "unset it"),
        ("unix:///nowhere", "the Docker context a", "missing", "the Docker context a names", "context use default"),
        ("unix:///dev/null", "DOCKER_HOST", "wrong", "no socket", "unset it"),
        ("tcp://127.0.0.1:1", "DOCKER_HOST", "refused", "nobody listens", "systemctl start docker"),
        ("tcp://192.0.2.1:2375", "DOCKER_HOST", "elsewhere", "another machine", "--on kubeconfig"),
        ("ssh://a@b", "DOCKER_HOST", "elsewhere", "another machine", "run netdojo on that machine"),
        ("tcp://127.0.0.1:port", "DOCKER_HOST", "wrong", "DOCKER_HOST is tcp://", "correct DOCKER_HOST"),
        ("docker", "DOCKER_HOST", "wrong", "no address of an engine", "unix:///var/run/docker.sock"),
    ],
)
def test_each_way_of_not_answering_is_told_apart(url: str, said_by: str, code: str, said: str, remedy: str) -> None:
    found = endpoint.diagnose(Endpoint(url, said_by), {"HOME": "/nowhere"})
    assert found is not None
    assert (found.code, said in found.reason) == (code, True), found
    assert remedy in " ".join(found.remedies)


def test_an_engine_that_has_ended_left_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    found = endpoint.diagnose(Endpoint(f"unix://{path}"))
    assert found is not None
    assert found.code == "refused"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may connect to every socket")
def test_no_permission(listening: Path) -> None:
    listening.chmod(0)
    found = endpoint.diagnose(Endpoint(f"unix://{listening}"))
    assert found is not None
    assert found.code == "permission"
    assert "usermod -aG docker" in found.remedies[0]


def test_no_permission_as_the_kernel_says_it(listening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = endpoint.diagnose(Endpoint(f"unix://{listening}"))
    assert found is not None
    assert (found.code, "usermod -aG docker" in found.remedies[0]) == ("permission", True)


def test_another_engine_at_a_usual_place_is_named(listening: Path) -> None:
    environ = {"HOME": "/nowhere", "XDG_RUNTIME_DIR": str(listening.parent)}
    found = endpoint.diagnose(Endpoint("unix:///nowhere/docker.sock"), environ)
    assert found is not None
    assert found.remedies[0] == f"an engine is at {listening}: export DOCKER_HOST=unix://{listening}"


def test_the_sdk_is_asked_only_where_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    with pytest.raises(dockersdk.EngineUnreachableError, match="DOCKER_HOST names /nowhere") as caught:
        dockersdk.connect()
    assert "unset it" in caught.value.remedy
