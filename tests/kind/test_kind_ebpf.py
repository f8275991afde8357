"""The lab `turn-on` on a real cluster: nothing counts but nodes that really run eBPF, and back means back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from content.load import find_lab
from labs import store
from labs.fitting import fit
from labs.kind.backend import KindBackend
from labs.kube.client import connect
from labs.kube.resources import resource_of
from labs.session import LabSession, in_namespace, objects_of

if TYPE_CHECKING:
    from grader.report import Report

pytestmark = [pytest.mark.kind, pytest.mark.slow, pytest.mark.timeout(1800)]

IPTABLES_ONLY, WITH_EBPF = "calico/node:", "kindhere/calico-node-bpf"


@pytest.fixture
def ebpf_images(kind_bed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calico with eBPF programs in its image: the test bed's own manifests name an image without."""
    del kind_bed
    given = os.environ.get("NETDOJO_KIND_CALICO", "")
    if not given:
        return  # the operator's images have them
    listed = subprocess.run(
        ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", WITH_EBPF],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if not listed:
        pytest.skip("kind: the test bed's image of calico-node with eBPF programs is not built")
    for file in map(Path, given.split(os.pathsep)):
        objects = [item for item in yaml.safe_load_all(file.read_text(encoding="utf-8")) if item]
        for item in objects:
            if item["kind"] == "DaemonSet":
                fit_agent(item["spec"]["template"]["spec"], listed[0])
        (tmp_path / file.name).write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    names = [str(tmp_path / Path(file).name) for file in given.split(os.pathsep)]
    monkeypatch.setenv("NETDOJO_KIND_CALICO", os.pathsep.join(names))


def fit_agent(pod: dict[str, Any], image: str) -> None:
    """Have the agent's pod run this image, and leave a setting of the whole machine's kernel as it is."""
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        if container["image"].split("/", 1)[-1].startswith(IPTABLES_ONLY):
            container["image"] = image
    pod["containers"][0]["env"].append({"name": "FELIX_BPFDISABLEUNPRIVILEGED", "value": "false"})


def felix(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "FelixConfiguration",
        "metadata": {"name": "default"},
        "spec": {"bpfDisableUnprivileged": False, **spec},
    }


def unmet(report: Report) -> set[str]:
    return {item.name for task in report.tasks for check in task.checks for item in check.unmet}


def found(report: Report) -> str:
    checks = [check for task in report.tasks for check in task.checks]
    return "\n".join(line for check in checks for item in check.unmet for line in item.found)


async def test_only_a_real_switch_counts(ebpf_images: None, home: Path) -> None:
    del ebpf_images, home
    lab = find_lab("turn-on")
    places = store.folders()
    session = LabSession(lab, KindBackend(), places.state / "turn-on", places.data / "turn-on")
    try:
        running = await session.start(lambda _phase: None)
        assert running.kubeconfig is not None
        api = connect(running.kubeconfig)
        cluster = await session.cluster()

        async def as_a_learner(item: dict[str, Any]) -> None:
            """Apply, and wait for nothing: the check has to."""
            resource = resource_of(item, await api.resources())
            assert resource is not None
            await api.apply(resource, "", item)

        before = await session.grade()
        assert (before.earned, unmet(before)) == (0, {"mode", "services", "kube_proxy"})

        await as_a_learner(felix(bpfEnabled=True))
        alone = await session.grade()
        assert not alone.held
        assert alone.earned == 0 or "mode" not in unmet(alone)  # a kernel that takes all of its programs
        assert "kube_proxy" in unmet(alone)
        if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 18):
            assert "mode" in unmet(alone)
            assert "bailing out" in found(alone), found(alone)

        await as_a_learner(felix(bpfEnabled=False))
        solution = fit(objects_of(lab.solution), await cluster.snapshot())
        await cluster.apply(in_namespace(solution, lab.spec.namespace))
        after = await session.grade()
        assert after.held, found(after)
        assert after.earned == after.points

        await as_a_learner(felix(bpfEnabled=False, bpfConnectTimeLoadBalancing="Disabled"))
        back = await session.grade()
        assert not back.held
        assert {"mode", "services"} <= unmet(back)
    finally:
        await session.backend.stop(session.name, session.folder, delete=True)


def test_its_start_its_solution_and_its_mistakes_are_what_they_say(ebpf_images: None, home: Path) -> None:
    del ebpf_images, home
    netdojo = (sys.executable, "-m", "tui")
    try:
        proven = (*netdojo, "author", "test", "turn-on", "--on", "kind", "--output", "json")
        done = subprocess.run(proven, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        held = {claim["answer"]: claim["held"] for claim in json.loads(done.stdout)["claims"]}
        answers = ("start", "solution", "kube-proxy-stays", "policy-lost", "another-name")
        assert held == dict.fromkeys(answers, True)
    finally:
        subprocess.run((*netdojo, "lab", "stop", "--all", "--delete"), check=False)
