from pathlib import Path

import pytest
import yaml

from tui.lab.workfiles import LARGEST, WorkFiles, refuse_name, template


@pytest.fixture
def files(tmp_path: Path) -> WorkFiles:
    return WorkFiles(tmp_path / "work")


def test_a_folder_that_is_not_there_yet_is_empty(files: WorkFiles) -> None:
    assert files.names() == ()
    assert files.drafts() == ()
    assert files.stamp() == ()
    assert files.draft("a.yaml") is None


def test_only_manifests_are_listed(files: WorkFiles, tmp_path: Path) -> None:
    files.write("b.yaml", "b")
    files.write("a.yml", "a")
    (tmp_path / "outside.yaml").write_text("secret")
    for name in ("notes.txt", ".hidden.yaml"):
        (files.folder / name).write_text("")
    (files.folder / "folder.yaml").mkdir()
    (files.folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    assert files.names() == ("a.yml", "b.yaml")


@pytest.mark.parametrize(
    "name", ["../up.yaml", "/etc/x.yaml", "a/b.yaml", ".hidden.yaml", "x.txt", "", "-x.yaml", "a\n.yaml"]
)
def test_names_that_lead_elsewhere_are_refused(files: WorkFiles, name: str) -> None:
    assert refuse_name(name)
    for action in (files.read, files.path, files.keep_draft, files.write):
        with pytest.raises(ValueError, match=r".+"):
            action(name, *(["text"] if action in {files.write, files.keep_draft} else []))


def test_a_link_out_of_the_folder_is_neither_read_nor_written(files: WorkFiles, tmp_path: Path) -> None:
    files.write("a.yaml", "a")
    outside = tmp_path / "outside.yaml"
    outside.write_text("secret")
    (files.folder / "link.yaml").symlink_to(outside)
    with pytest.raises(ValueError, match="leads out"):
        files.read("link.yaml")
    with pytest.raises(ValueError, match="leads out"):
        files.write("link.yaml", "mine")
    assert outside.read_text() == "secret"


def test_saving_replaces_in_one_step_and_keeps_the_mode(files: WorkFiles) -> None:
    files.write("a.yaml", "one")
    path = files.folder / "a.yaml"
    path.chmod(0o640)
    files.keep_draft("a.yaml", "two")
    files.write("a.yaml", "zwei ✓\n")
    assert files.read("a.yaml") == "zwei ✓\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert files.drafts() == ()
    assert [entry.name for entry in files.folder.iterdir()] == ["a.yaml"]


def test_drafts_survive_beside_the_file(files: WorkFiles) -> None:
    files.keep_draft("new.yaml", "unsaved")
    assert files.names() == ()
    assert files.drafts() == ("new.yaml",)
    assert WorkFiles(files.folder).draft("new.yaml") == "unsaved"
    files.drop_draft("new.yaml")
    assert files.drafts() == ()


def test_what_is_too_large_or_no_text_is_not_read(files: WorkFiles) -> None:
    files.write("a.yaml", "")
    (files.folder / "a.yaml").write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(ValueError, match="larger than"):
        files.read("a.yaml")
    (files.folder / "a.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="utf-8"):
        files.read("a.yaml")


def test_the_stamp_changes_with_every_way_to_save(files: WorkFiles, tmp_path: Path) -> None:
    files.write("a.yaml", "one")
    seen = {files.stamp()}
    files.write("a.yaml", "two")
    seen.add(files.stamp())
    (files.folder / "a.yaml").write_text("longer than two")
    seen.add(files.stamp())
    other = tmp_path / "other.yaml"
    other.write_text("longer than two")
    other.rename(files.folder / "a.yaml")
    seen.add(files.stamp())
    (files.folder / "a.yaml").unlink()
    seen.add(files.stamp())
    assert len(seen) == 5
    files.keep_draft("a.yaml", "unsaved")
    assert files.stamp() in seen, "a draft is no change of a file"


def test_the_template_is_a_policy() -> None:
    policy = yaml.safe_load(template("shop"))
    assert policy["kind"] == "NetworkPolicy"
    assert policy["metadata"]["namespace"] == "shop"
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}
