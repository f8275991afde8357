# ruff: noqa: E501 - a table reads by its rows
from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from content.errors import BrokenContentError, UsageError
from content.load import find_lab, lab_folders, load_course, load_lab

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Folder

    from content.errors import Defect

POLICY = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\n"


def defects(folder: Path) -> list[Defect]:
    with pytest.raises(BrokenContentError) as caught:
        load_lab(folder)
    return list(caught.value.defects)


def test_a_lab_is_loaded_with_every_state(lab_folder: Folder) -> None:
    lab = load_lab(lab_folder.path, chapter=3)
    assert (lab.id, lab.chapter, lab.folder) == ("first-policy", 3, lab_folder.path)
    assert [manifest.path.name for manifest in lab.start] == ["10-yaobank.yaml", "20-lobby.yaml"]
    assert {str(value["kind"]) for manifest in lab.solution for value in manifest.objects} == {"NetworkPolicy"}
    assert set(lab.mistakes) == set(lab.spec.mistakes)
    assert lab.instructions.startswith("# First policy")


@pytest.mark.parametrize(
    ("old", "new", "line_of", "cause", "remedy"),
    [
        ("minutes: 15", "minuts: 15", "minuts", "unknown field minuts", "did you mean minutes?"),
        ("minutes: 15", "minutes: soon", "minutes", "minutes: expected a whole number, found 'soon'", ""),
        ("minutes: 15", "minutes: 0", "minutes", "minutes: 0 is too small", "at least 1"),
        ("minutes: 15\n", "", "id:", "the field minutes is missing", ""),
        ("title: First policy", "title: 5", "title: 5", "title: expected text, found 5", ""),
        ("title: First policy", "title: ''", "title: ''", "title: too few", "at least 1"),
        ("namespace: yaobank", "namespace: Yao_Bank", "namespace:", "namespace: 'Yao_Bank' is no valid name", "lower-case"),
        ("others: deny", "others: denied", "others: denied", "is not one of 'deny', 'allow'", "did you mean deny?"),
        ("topology: {nodes: 2}", "topology: 2", "topology", "topology: expected a mapping, found 2", ""),
        ("topology: {nodes: 2}", "topology: {node: 2}", "topology", "unknown field topology.node", "did you mean nodes?"),
        ("topology: {nodes: 2}", "topology: {nodes: 99}", "topology", "topology.nodes: 99 is too large", "at most 8"),
        ("others: deny", "other: deny", "other: deny", ".connectivity.other", "did you mean others?"),
        ("- connectivity:", "- conectivity:", "conectivity", "unknown field tasks[0].checks[0].conectivity", "connectivity"),
        ("    hints:\n", "    hints: none\n    text2:\n", "hints: none", "tasks[0].hints: expected a list, found 'none'", ""),
        ("id: first-policy", "id: second-policy", "id: second", "is not the folder's name", "write id: first-policy"),
        ("title: First policy", 'title: "a\\e[2Jb"', "title:", "title: 'a\\x1b[2Jb' has control characters", "plain text"),
        ("title: First policy", "title: a\u202eb", "title:", "the character U+202E would control", "remove it"),
        ("id: first-policy", "id: first-policy\nid: x", "id: x", "the key 'id' is given twice", "keep one of them"),
    ],
)  # fmt: skip
def test_a_defect_has_its_line_its_cause_and_its_remedy(
    lab_folder: Folder, old: str, new: str, line_of: str, cause: str, remedy: str
) -> None:
    lab_folder.edit("lab.yaml", old, new)
    found = defects(lab_folder.path)
    matching = [defect for defect in found if cause in defect.cause]
    assert matching, [str(defect) for defect in found]
    assert matching[0].file == lab_folder.path / "lab.yaml"
    assert matching[0].line == lab_folder.line("lab.yaml", line_of)
    assert remedy in matching[0].remedy


def test_an_unknown_field_without_a_near_one_lists_what_is_known(lab_folder: Folder) -> None:
    lab_folder.edit("lab.yaml", "minutes: 15", "minutes: 15\nzzz: 1")
    (defect,) = defects(lab_folder.path)
    assert defect.remedy == (
        "known here: backends, id, minutes, mistakes, namespace, needs, summary, tasks, title, topology"
    )


def test_every_defect_of_every_file_is_reported_at_once(lab_folder: Folder) -> None:
    lab_folder.edit("lab.yaml", "minutes: 15", "minuts: 15")
    lab_folder.edit("lab.yaml", "points: 6", "points: -6")
    lab_folder.write("start/30-broken.yaml", "a: [")
    lab_folder.write("solution/policies.yaml", "- not an object\n")
    (lab_folder.path / "instructions.md").unlink()
    found = [(defect.file.name, defect.cause) for defect in defects(lab_folder.path)]
    assert [file for file, _ in found] == ["instructions.md", *["lab.yaml"] * 3, "policies.yaml", "30-broken.yaml"]


def test_states_that_are_missing(lab_folder: Folder) -> None:
    (lab_folder.path / "solution" / "policies.yaml").unlink()
    (lab_folder.path / "mistakes" / "no-from" / "policies.yaml").rename(lab_folder.path / "x.yaml")
    found = {defect.file.name: defect.cause for defect in defects(lab_folder.path)}
    assert found == {"solution": "there is no manifest", "no-from": "there is no manifest"}


@pytest.mark.parametrize("file", ["lab.yaml", "instructions.md", "start/10-yaobank.yaml"])
def test_a_link_that_leaves_the_folder_is_refused(lab_folder: Folder, tmp_path: Path, file: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("password: x")
    (lab_folder.path / file).unlink()
    (lab_folder.path / file).symlink_to(secret)
    (defect,) = defects(lab_folder.path)
    assert (defect.file, defect.cause) == (lab_folder.path / file, "a link that leaves the folder")


def test_a_linked_folder_is_refused(lab_folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.yaml").write_text(POLICY)
    (lab_folder.path / "solution" / "policies.yaml").unlink()
    (lab_folder.path / "solution").rmdir()
    (lab_folder.path / "solution").symlink_to(tmp_path / "elsewhere")
    assert [defect.cause for defect in defects(lab_folder.path)] == ["a link that leaves the folder"]


def test_a_pipe_is_not_waited_for(lab_folder: Folder) -> None:
    os.mkfifo(lab_folder.path / "start" / "99-pipe.yaml")
    assert [defect.cause for defect in defects(lab_folder.path)] == ["this is not a file"]


def test_a_bomb_in_a_lab_is_refused(lab_folder: Folder) -> None:
    rows = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    lab_folder.write("lab.yaml", "a0: &a0 x\n" + "\n".join(rows))
    (defect,) = defects(lab_folder.path)
    assert "aliases that expand to more than 2,000 values" in defect.cause


def test_no_folder_at_all(tmp_path: Path) -> None:
    assert "the file is missing" in {defect.cause for defect in defects(tmp_path / "nothing")}


def test_line_ends_of_windows(lab_folder: Folder) -> None:
    file = lab_folder.path / "lab.yaml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert load_lab(lab_folder.path).spec.tasks[0].text.count("\r") == 0


def test_a_course(course_folder: Folder) -> None:
    course = load_course(course_folder.path)
    assert (course.id, [chapter.id for chapter in course.chapters]) == (
        "kubernetes-networking",
        ["network-policy", "ebpf"],
    )
    assert [chapter.number for chapter in course.chapters] == [3, 7]
    chapter = course.chapters[0]
    assert [lab.id for lab in chapter.labs] == ["first-policy", "default-deny", "namespaces"]
    assert {lab.chapter for lab in chapter.labs} == {3}
    assert chapter.lessons[0].id == "what-and-why"
    assert chapter.lessons[0].text.startswith("# What a network policy is")
    assert chapter.quiz is not None


@pytest.mark.parametrize(
    ("file", "old", "new", "cause", "line"),
    [
        ("course.yaml", "title:", "titel:", "unknown field titel", 1),
        ("03-network-policy/chapter.yaml", "- namespaces", "- namespace", "there is no lab namespace in labs/", 6),
        (
            "03-network-policy/chapter.yaml",
            "  - namespaces\n",
            "",
            "the lab labs/namespaces is not in the list of labs",
            0,
        ),
        ("03-network-policy/lessons/01-what-and-why.md", "---\n", "", "there is no front matter", 1),
        ("03-network-policy/lessons/01-what-and-why.md", "minutes: 7", "minutes: 70", "minutes: 70 is too large", 3),
        ("03-network-policy/quiz.yaml", "why:", "because:", "unknown field questions[0].options[0].because", 6),
    ],
)
def test_defects_of_a_course(course_folder: Folder, file: str, old: str, new: str, cause: str, line: int) -> None:
    course_folder.edit(file, old, new)
    with pytest.raises(BrokenContentError) as caught:
        load_course(course_folder.path)
    found = [(defect.cause, defect.line) for defect in caught.value.defects]
    assert (cause, line) in found


def test_folders_with_names_that_say_nothing(course_folder: Folder) -> None:
    (course_folder.path / "03-network-policy").rename(course_folder.path / "policy")
    with pytest.raises(BrokenContentError, match="policy is no name for a chapter's folder"):
        load_course(course_folder.path)


def test_finding_a_lab() -> None:
    assert list(lab_folders()) == ["default-deny", "first-policy", "namespaces", "turn-on"]
    assert find_lab("namespaces").chapter == 3
    with pytest.raises(UsageError) as caught:
        find_lab("first-polcy")
    assert caught.value.remedy == "did you mean first-policy?"
    with pytest.raises(UsageError):
        find_lab("../../../etc")


def test_finding_one_lab_reads_no_other(course_folder: Folder) -> None:
    course_folder.write("03-network-policy/labs/namespaces/lab.yaml", "a: [")
    assert find_lab("first-policy", course_folder.path.parent).id == "first-policy"
