# ruff: noqa: E501 - a table reads by its rows
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from content.errors import UsageError
from content.validate import lint

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Folder

QUIZ = "03-network-policy/quiz.yaml"
LESSON = "03-network-policy/lessons/02-anatomy.md"
SOLUTION = "solution/policies.yaml"


def test_the_lab_as_it_is_has_no_defect(lab_folder: Folder) -> None:
    assert lint(lab_folder.path) == ()


def test_a_folder_that_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no course\.yaml, chapter\.yaml or lab\.yaml"):
        lint(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new", "line_of", "cause", "remedy"),
    [
        ("lab.yaml", "summary -> database:2379", "summary > database:2379", "summary > ", "column 9: expected -> or a comma", "a -> b:80"),
        ("lab.yaml", "summary -> database:2379", "sumary -> database:2379", "sumary", "there is no workload sumary", "did you mean summary?"),
        ("lab.yaml", "summary -> database:2379", "summary.lobby -> database:2379", ".lobby ->", "there is no workload summary.lobby", "summary"),
        ("lab.yaml", "summary -> database:2379", "summary -> database:5432", ":5432", "database does not serve 5432", "it declares: 2379"),
        ("lab.yaml", "summary -> database:2379", "summary -> database:2379/udp", "/udp", "database does not serve 2379/udp", ""),
        ("lab.yaml", "summary -> database:2379", "summary -> visitor.lobby:80", "visitor.lobby:80", "visitor.lobby does not serve 80", "no ports"),
        ("lab.yaml", "to: [database]", "to: [databse]", "to: [databse]", "there is no workload databse", "did you mean database?"),
        ("lab.yaml", "to: [database]", "to: ['a b']", "to: ['a b']", "'a b' names no endpoint", ""),
        ("lab.yaml", "others: allow", "between: [customer]", "- connectivity:", "this check of protect-database judges nothing", ""),
        ("lab.yaml", "points: 6", "points: 2", "hints:", "the hints of protect-database cost 3 points, the task gives 2", ""),
        ("lab.yaml", "- id: protect-summary", "- id: protect-database", "- id: protect-database", "there are two tasks protect-database", ""),
        ("lab.yaml", "      protect-database:\n        opens", "      protect-databse:\n        opens", "protect-databse:", "there is no task protect-databse", "protect-database?"),
        ("lab.yaml", '        opens: ["customer -> database:2379"]', "        opens: []", "opens: []", "fails protect-database, but no cell", ""),
        ("lab.yaml", "topology: {", "topology: {dataplane: ebpf, ", "topology:", "only kind can follow dataplane", "backends: [kind]"),
        ("lab.yaml", "topology: {", "topology: {pod_ranges: [10.0.0.1/8], ", "topology:", "pod_ranges is not a range of each of ipv4", "10.10.0.0/16"),
        (SOLUTION, "kind: NetworkPolicy", "kin: NetworkPolicy", "apiVersion", "the object has no kind", ""),
        (SOLUTION, "apiVersion: networking.k8s.io/v1\n", "", "kind", "the object has no apiVersion", ""),
        (SOLUTION, "name: summary", "name: database", "apiVersion", "NetworkPolicy database is given twice", ""),
        (SOLUTION, "namespace: yaobank", "namespace: yaobnk", "apiVersion", "the namespace yaobnk is not made", "did you mean yaobank?"),
        ("instructions.md", "kubectl get pods", "kubectl get pods --all-namespaces --show-labels -o wide --watch", "--watch", "columns in a listing", "at most 56"),
        ("instructions.md", "```\nkubectl get", "kubectl get", "```\n\nBoth", "this listing is never closed", ""),
    ],
)  # fmt: skip
def test_what_files_say_about_one_another(
    lab_folder: Folder, file: str, old: str, new: str, line_of: str, cause: str, remedy: str
) -> None:
    lab_folder.edit(file, old, new)
    found = [defect for defect in lint(lab_folder.path) if cause in defect.cause]
    assert found, [str(defect) for defect in lint(lab_folder.path)]
    assert found[0].file == lab_folder.path / file
    if "\n" not in line_of:
        text = (lab_folder.path / file).read_text().splitlines()
        assert line_of in "\n".join(text[found[0].line - 1 : found[0].line + 1])
    assert remedy in found[0].remedy


def test_a_folder_that_no_mistake_names(lab_folder: Folder) -> None:
    lab_folder.write("mistakes/other/a.yaml", "kind: A\napiVersion: v1\nmetadata: {name: a}\n")
    (defect,) = lint(lab_folder.path)
    assert defect.cause == "nothing in lab.yaml speaks of the folder mistakes/other"


def test_hosts_and_the_dns_of_the_cluster_are_endpoints(lab_folder: Folder) -> None:
    lab_folder.edit("lab.yaml", "{nodes: 2}", "{nodes: 2, hosts: [bastion]}")
    arrows = '["summary -> database:2379", "bastion -> coredns.kube-system:53/udp", "customer -> bastion:22"]'
    lab_folder.edit("lab.yaml", '["summary -> database:2379"]', arrows)
    assert lint(lab_folder.path) == ()


def test_defects_that_stop_loading_are_told_too(lab_folder: Folder) -> None:
    lab_folder.edit("lab.yaml", "minutes: 15", "minuts: 15")
    assert {defect.cause for defect in lint(lab_folder.path)} == {
        "unknown field minuts",
        "the field minutes is missing",
    }


@pytest.mark.parametrize(
    ("file", "old", "new", "cause"),
    [
        (QUIZ, "        right: true\n", "", "no-policy has no right option"),
        (QUIZ, "      - text: Nothing, until a policy allows it\n", "      - text: Nothing\n        right: true\n", "no-policy has 2 right options"),
        (QUIZ, "id: api-says-created", "id: no-policy", "another question has the id no-policy"),
        (LESSON, "Now do it:", "See [before](01-nothing.md):", "the link 01-nothing.md leads nowhere"),
        (LESSON, "Now do it:", "See [it](../../../../model.py):", "the link ../../../../model.py leaves the course"),
    ],
)  # fmt: skip
def test_defects_of_chapters(course_folder: Folder, file: str, old: str, new: str, cause: str) -> None:
    course_folder.edit(file, old, new)
    assert [(defect.file.name, defect.cause) for defect in lint(course_folder.path)] == [
        (file.rsplit("/", maxsplit=1)[-1], cause)
    ]


@pytest.mark.parametrize(
    "target", ["01-what-and-why.md", "01-what-and-why.md#who", "#peers", "https://kubernetes.io/docs/"]
)
def test_links_that_lead_somewhere(course_folder: Folder, target: str) -> None:
    course_folder.edit(LESSON, "Now do it:", f"See [it]({target}):")
    assert lint(course_folder.path) == ()


def test_the_line_of_a_wide_listing_counts_the_front_matter(course_folder: Folder) -> None:
    course_folder.edit(LESSON, "kind: NetworkPolicy", "kind: NetworkPolicy" + " # wide" * 10)
    (defect,) = lint(course_folder.path)
    assert defect.line == course_folder.line(LESSON, "# wide")


def test_two_of_a_kind(course_folder: Folder) -> None:
    chapter = course_folder.path / "03-network-policy"
    (chapter / "lessons" / "05-anatomy.md").write_text((chapter / "lessons" / "02-anatomy.md").read_text())
    course_folder.write("03-other/chapter.yaml", "title: Other\nsummary: Another\nlabs: [first-policy]\n")
    (chapter / "labs" / "first-policy").rename(course_folder.path / "moved")
    (course_folder.path / "03-other" / "labs").mkdir()
    (course_folder.path / "moved").rename(course_folder.path / "03-other" / "labs" / "first-policy")
    course_folder.edit("03-network-policy/chapter.yaml", "  - first-policy\n", "")
    assert {defect.cause for defect in lint(course_folder.path)} == {
        "02-anatomy.md has the same id, anatomy",
        "chapter 3 is already 03-network-policy",
    }
