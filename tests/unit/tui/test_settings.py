from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from content.errors import BrokenContentError
from tui.settings import Settings, load, save

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_file_means_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "config.toml") == Settings()


def test_the_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    file.write_text('theme = "light"\nanimation = false\n')
    assert load(file) == Settings(theme="light", animation=False)
    monkeypatch.setenv("NETDOJO_THEME", "dark")
    assert load(file).theme == "dark"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("theme = ", "cannot be read"),
        ("colour = 1", "colour"),
        ('backend = "moon"', "backend"),
        ("animation = 7.5", "animation"),
    ],
)
def test_a_broken_file_is_named_with_its_cause(tmp_path: Path, text: str, cause: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(BrokenContentError, match=cause) as caught:
        load(file)
    assert caught.value.defects[0].file == file


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "config.toml"
    for settings in (Settings(), Settings(theme="contrast", watch=False), Settings(backend="kind")):
        save(file, settings)
        assert load(file) == settings


def test_what_backends_keep_there_outlives_a_change(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        'theme = "light"\n[kind]\nnode_image = "kindest/node:v1"\npatches = """\nkind: KubeletConfiguration\n'
        'say: "it\'s\\u00e9"\n"""\nlist = [1, "a", true, {b = 2}]\n[kubeconfig]\ncontext = "a b"\n'
    )
    before = load(file)
    assert before.kind["patches"].startswith("kind: Kubelet")
    save(file, before.model_copy(update={"theme": "dark", "backend": "kind"}))
    after = load(file)
    assert (after.kind, after.kubeconfig, after.backend) == (before.kind, before.kubeconfig, "kind")


def test_a_backends_variables_are_no_settings_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETDOJO_KIND", "x")
    monkeypatch.setenv("NETDOJO_BACKEND", "kind")
    assert load(tmp_path / "config.toml") == Settings(backend="kind")
