"""Files that are broken or hostile, by every door: a lab's folder, a cluster's manifests, `reach`, kubectl.

Each is refused in words that say where and why, in little time and memory, and nothing is left of the attempt.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from content.load import lab_folders
from labs import kubectl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Command = Callable[..., subprocess.CompletedProcess[str]]

LEVELS = "\n".join(
    f"{at}: &{at} [{', '.join([f'*{below}'] * 10)}]" for below, at in zip("abcdefgh", "bcdefghi", strict=True)
)
HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\n"
POLICY = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: bad}\nspec: "
BAD = {
    "aliases": f"a: &a [x, x, x, x, x, x, x, x, x, x]\n{LEVELS}\n",
    "depth": f"{HEAD}data: {'{a: ' * 5000}1{'}' * 5000}\n",
    "size": f"{HEAD}data: {{a: {'x' * 17_000_000}}}\n",
    "tag": "!!python/object/apply:os.system ['false']\n",
    "syntax": "a: [1,\n",
    "field": f"{POLICY}{{podSelektor: {{}}}}\n",
    "port": f"{POLICY}{{podSelector: {{}}, ingress: [{{ports: [{{port: 99999}}]}}]}}\n",
}
SAID = {
    "aliases": "aliases that expand to more than",
    "depth": "nesting deeper than",
    "size": "larger than",
    "tag": "is not allowed",
    "syntax": "this is no YAML",
    "field": 'unknown field "spec.podSelektor"',
    "port": "Invalid value: 99999: must be between 1 and 65535",
}
APPLIED = {  # by kubectl: what it does not refuse itself is refused in the words of Kubernetes
    "aliases": "document contains excessive aliasing",
    "depth": "exceeded max depth",
    "size": "Request entity too large: limit is 3145728",
    "field": 'strict decoding error: unknown field "spec.podSelektor"',
    "port": 'The NetworkPolicy "bad" is invalid: spec.ingress[0].ports[0].port: Invalid value: 99999',
}
JOB = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: bad}\nspec: {}\n"


@pytest.fixture
def command(home: Path) -> Command:
    """The real command, with the model dataplane, which starts at once."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "NETDOJO_HOME": str(home), "NETDOJO_DATAPLANE": "model"}
        line = [sys.executable, "-m", "tui", *arguments]
        return subprocess.run(line, env=variables, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A lab of one's own: a shipped one under another name."""
    folder = tmp_path / "mine"
    shutil.copytree(lab_folders()["first-policy"][0], folder)
    file = folder / "lab.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("id: first-policy", "id: mine"), encoding="utf-8")
    return folder


@pytest.mark.parametrize("what", BAD)
def test_by_reach_and_sandbox_up(command: Command, home: Path, tmp_path: Path, what: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD[what], encoding="utf-8")
    for words in (["reach", "matrix"], ["sandbox", "up"]):
        ran = command(*words, str(file))
        assert ran.returncode == 2, ran.stderr
        assert SAID[what] in ran.stderr
        assert f"{file}:" in ran.stderr
        assert "Traceback" not in ran.stderr
    assert not list((home / "state" / "clusters").glob("*"))


@pytest.mark.parametrize("what", BAD)
def test_by_a_labs_start(command: Command, home: Path, mine: Path, what: str) -> None:
    file = mine / "start" / "bad.yaml"
    file.write_text(BAD[what], encoding="utf-8")
    ran = command("lab", "start", str(mine))
    assert ran.returncode == 2, ran.stderr
    assert f"{file}:" in ran.stderr
    assert SAID[what] in ran.stderr or "larger than 256 KiB" in ran.stderr
    assert not list((home / "state" / "clusters").glob("*"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("minutes:", "minuts:", "minuts (did you mean minutes?)"),
        ("summary -> database:2379", "summary => database:2379", "is no arrow"),
        ("summary -> database:2379", "summary -> nobody:2379", "there is no workload nobody"),
        ("tasks:", "tasks: &t\n  - *t\nmore:", "*t stands for nothing that was complete"),
    ],
)
def test_a_broken_lab(command: Command, mine: Path, old: str, new: str, said: str) -> None:
    file = mine / "lab.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    for words in (["author", "lint"], ["lab", "start"]):
        ran = command(*words, str(mine))
        assert ran.returncode == 2, ran.stderr
        assert f"{file}:" in ran.stdout + ran.stderr
        assert said in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr


@pytest.fixture
def apply(command: Command, home: Path, tmp_path: Path) -> Iterator[Callable[[str], subprocess.CompletedProcess[str]]]:
    """`kubectl apply` of a text, on a cluster of one's own."""
    assert command("sandbox", "up").returncode == 0
    variables = kubectl.environment(home / "state" / "clusters" / "sandbox" / "kubeconfig", "sandbox")
    program = kubectl.find()
    assert program is not None
    file = tmp_path / "applied.yaml"

    def run(text: str) -> subprocess.CompletedProcess[str]:
        file.write_text(text, encoding="utf-8")
        return subprocess.run(
            [str(program), "apply", "-f", str(file)],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    yield run
    assert command("sandbox", "down").returncode == 0


@pytest.mark.kubectl
def test_by_kubectl(apply: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    for what, said in APPLIED.items():
        ran = apply(BAD[what])
        assert ran.returncode == 1, what
        assert said in ran.stderr
    assert 'no matches for kind "Job" in version "batch/v1"' in apply(JOB).stderr
    assert apply(f"{HEAD}data: {{a: b}}\n").stdout == "configmap/bad created\n"  # it is none the worse for it


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a device that is always full")
@pytest.mark.usefixtures("home")
def test_a_report_into_a_full_disk_is_told() -> None:
    line = [sys.executable, "-m", "tui", "course", "list"]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ran = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 3
    assert ran.stderr.startswith("error: the disk is full")
    assert "Traceback" not in ran.stderr
