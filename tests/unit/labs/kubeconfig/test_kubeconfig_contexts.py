from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from content.errors import BrokenContentError, UsageError
from grader.errors import NotCapableError
from labs.kubeconfig import contexts, settings

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, **parts: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(parts), encoding="utf-8")
    return path


def entry(part: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, part: fields}


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    first = write(
        tmp_path / "a" / "config",
        clusters=[entry("cluster", "c", server="https://first", **{"certificate-authority": "ca.crt"})],
        users=[entry("user", "u", **{"client-key": "keys/u.key"}, exec={"command": "./login", "args": ["x"]})],
        contexts=[entry("context", "mine", cluster="c", user="u", namespace="shop")],
    )
    second = write(
        tmp_path / "b" / "config",
        clusters=[entry("cluster", "c", server="https://second"), entry("cluster", "d", server="https://d")],
        users=[entry("user", "v", username="v")],
        contexts=[entry("context", "theirs", cluster="d", user="v"), entry("context", "torn", cluster="none")],
        **{"current-context": "theirs"},
    )
    return [first, tmp_path / "missing", second]


def test_files_are_merged_and_the_first_wins(two: list[Path]) -> None:
    found = contexts.read(two)
    assert found.names == ("mine", "theirs", "torn")
    assert found.current == "theirs"
    assert found.named("mine").server == "https://first"
    assert found.named("theirs").namespace == "default"


def test_paths_are_those_of_the_file_that_names_them(two: list[Path], tmp_path: Path) -> None:
    mine = contexts.read(two).named("mine")
    assert mine.cluster["certificate-authority"] == str(tmp_path / "a" / "ca.crt")
    assert mine.user["client-key"] == str(tmp_path / "a" / "keys/u.key")
    assert mine.user["exec"]["command"] == str(tmp_path / "a" / "login")


def test_one_context_alone_leads_nowhere_else(two: list[Path]) -> None:
    alone = json.loads(contexts.read(two).named("theirs").alone("yaobank"))
    assert [len(alone[part]) for part in ("clusters", "users", "contexts")] == [1, 1, 1]
    assert alone["current-context"] == "theirs"
    assert alone["contexts"][0]["context"]["namespace"] == "yaobank"
    assert alone["users"][0]["user"] == {"username": "v"}


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [("nobody", UsageError, "there is no context 'nobody'"), ("torn", NotCapableError, "has no server")],
)
def test_what_is_no_context_says_what_there_is(two: list[Path], name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        contexts.read(two).named(name)


@pytest.mark.parametrize(
    "text", ["[]", "clusters: 3", "contexts: [a]", "users: [{name: x, user: 3}]", "a: [", "&a [*a]"]
)
def test_what_is_no_kubeconfig_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BrokenContentError, match="config"):
        contexts.read([path])


def test_variables_win_over_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[kubeconfig]\ncontext = "a"\nagents = "pods"\nagent_image = "mine:1"\n', encoding="utf-8")
    found = settings.load({"NETDOJO_KUBECONFIG_CONTEXT": "b", "KUBECONFIG": "/x:/y"}, file)
    assert (found.context, found.ways, found.agent_image) == ("b", ("pods",), "mine:1")
    assert [str(path) for path in found.files] == ["/x", "/y"]
    assert not found.yes
    assert settings.load({"NETDOJO_KUBECONFIG_YES": "1"}, tmp_path / "none").yes
    with pytest.raises(UsageError, match="no way"):
        settings.load({"NETDOJO_KUBECONFIG_AGENTS": "ssh"}, file)
