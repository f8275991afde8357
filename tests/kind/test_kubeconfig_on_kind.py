"""A lab on a cluster that is a stranger's: started, solved, graded, stopped, by each way to the pods' networks."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from content.load import find_lab
from labs.kube.client import connect
from labs.kubeconfig import journal
from labs.kubeconfig.backend import KubeconfigBackend
from labs.kubeconfig.settings import AGENTS, CONTAINERS, PODS, Settings
from labs.session import LabSession, objects_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.report import Report

AGENT = "netdojo-test/agent:1"
KINDS = {"namespaces", "networkpolicies", "globalnetworkpolicies", "globalnetworksets", "networksets", "pods"}

pytestmark = [pytest.mark.kind, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def agent_image(somebodys_cluster: Path) -> str:
    """The image of agents, in the nodes."""
    from labs.kind.settings import load

    script = Path(__file__).parent / "perl-image"
    made = subprocess.run(["sh", script, load().node_image, AGENT], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"kind: no image with Perl can be made: {made.stderr.strip()[-200:]}")
    cluster = yaml.safe_load(somebodys_cluster.read_text(encoding="utf-8"))["clusters"][0]["name"]
    subprocess.run(["kind", "load", "docker-image", AGENT, "--name", cluster.removeprefix("kind-")], check=True)
    return AGENT


async def everything(kubeconfig: Path) -> set[tuple[str, str, str]]:
    """What the cluster has of the kinds that labs make."""
    api = connect(kubeconfig)
    found = set()
    for resource in await api.resources():
        if resource.plural in KINDS and "list" in resource.verbs and resource.group != "crd.projectcalico.org":
            for item in (await api.list(resource)).items:
                found.add((str(resource), item["metadata"].get("namespace", ""), item["metadata"]["name"]))
    return found


def points(report: Report) -> list[int]:
    return [task.earned for task in report.tasks]


@pytest.mark.parametrize("way", [CONTAINERS, AGENTS, PODS])
async def test_a_lab_is_solved_and_leaves_nothing(
    somebodys_cluster: Path, agent_image: str, tmp_path: Path, way: str
) -> None:
    asked: list[str] = []

    async def agree(lines: Sequence[str]) -> bool:
        asked.extend(lines)
        return True

    lab = find_lab("first-policy")
    backend = KubeconfigBackend(Settings("somebody", (somebodys_cluster,), agent_image=agent_image, ways=(way,)))
    backend.agree = agree
    session = LabSession(lab, backend, tmp_path / "state" / lab.id, tmp_path / "work")
    before = await everything(somebodys_cluster)
    try:
        await session.start(lambda _: None)
        known = journal.read(session.folder)
        assert known is not None
        assert known.ways == way
        assert bool(asked) is (way == AGENTS)
        assert points(await session.grade()) == [0, 0]
        await (await session.cluster()).apply(objects_of(lab.solution))
        assert points(await session.grade()) == [6, 4]
    finally:
        await session.stop()
    assert await everything(somebodys_cluster) == before
    assert not session.folder.exists()


def test_a_start_that_is_killed_is_cleaned_up_by_the_next_command(somebodys_cluster: Path, tmp_path: Path) -> None:
    """The real command, killed as soon as it has made something; then `lab stop` of another process."""
    variables = {
        **os.environ,
        "NETDOJO_HOME": str(tmp_path),
        "NETDOJO_KUBECONFIG_FILE": str(somebodys_cluster),
        "NETDOJO_KUBECONFIG_CONTEXT": "somebody",
    }
    before = asyncio.run(everything(somebodys_cluster))
    command = [sys.executable, "-m", "tui", "lab", "start", "first-policy", "--on", "kubeconfig"]
    started = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert started.stderr is not None
    for line in started.stderr:
        if line.startswith("applying"):
            break
    asyncio.run(_until_more(somebodys_cluster, before))
    started.kill()
    started.wait()
    assert asyncio.run(everything(somebodys_cluster)) != before
    stopped = subprocess.run(
        [sys.executable, "-m", "tui", "lab", "stop", "first-policy", "--on", "kubeconfig"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert stopped.returncode == 0, stopped.stderr
    assert asyncio.run(everything(somebodys_cluster)) == before


async def _until_more(kubeconfig: Path, before: set[tuple[str, str, str]]) -> None:
    async with asyncio.timeout(60):
        while not await everything(kubeconfig) - before:  # noqa: ASYNC110 - one list after the other, until one differs
            await asyncio.sleep(0.1)
