"""A lab on kind, phase by phase: from nothing, given back, and the next lab on the same cluster.

Usage: python tests/bench/bench_kind_labs.py [LAB] [--nodes N] [--rounds N] [--rest SECONDS] [--bare]

Runs the commands that a user runs, in a netdojo home of its own, with the user's Docker and settings (NETDOJO_KIND_*).
`--bare` first does by hand what kind and Calico take by themselves, where kind.calico names files: kind's own command
with the same configuration, Calico's images into the node, its first file by kubectl, until node, CoreDNS and Calico
are ready. Between a lab's end and the next start the cluster has some seconds, in which its kubelets clear away the
pods; with `--rest 0` that work falls into the next start.

Limits: a cluster from nothing 60 s, and 10 s over the bare one; the next lab 5 s; first progress 0.3 s.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from content.load import find_lab, load_lab
from labs.kind import config, settings
from labs.kind.calico import manifests, sources

if TYPE_CHECKING:
    from content.model import Lab, Topology

BARE = "bare-bench"


def stamped(*command: str) -> float:
    """Run a command of netdojo's; print when each line of its progress came; the seconds of the whole process."""
    print(f"$ netdojo {' '.join(command)}", flush=True)
    began = last = time.monotonic()
    words = (sys.executable, "-m", "tui", *command)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        now = time.monotonic()
        print(f"  {now - began:6.2f} s  +{now - last:5.2f}  {line.rstrip()}", flush=True)
        last = now
    code, took = process.wait(), time.monotonic() - began
    print(f"  {took:6.2f} s  in all, exit status {code}", flush=True)
    if code:
        raise SystemExit(code)
    return took


def bare(folder: Path, topology: Topology) -> float:
    """The seconds of kind and Calico alone."""
    chosen = settings.load()
    calico = sources.of(chosen)
    if calico.operator:
        raise SystemExit("--bare needs kind.calico to name files")
    plan = config.plan_of(topology, chosen, calico.identity())
    objects = manifests.adjust(sources.read(calico.sources[0], folder, print), plan)
    file, kubeconfig = folder / "calico.yaml", folder / "kubeconfig"
    file.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    cluster = config.document(plan, BARE)
    kubectl = ("kubectl", f"--kubeconfig={kubeconfig}")
    wait = (*kubectl, "-n", "kube-system", "rollout", "status", "--timeout=300s")
    steps: dict[str, tuple[str, ...]] = {
        "kind create": (chosen.binary, "create", "cluster", "--config", "-", "--kubeconfig", str(kubeconfig)),
        "kind load": (chosen.binary, "load", "docker-image", "--name", BARE, *manifests.images(objects)),
        "kubectl apply": (*kubectl, "apply", "--server-side", "-f", str(file)),
        "calico-node": (*wait, "daemonset/calico-node"),
        "node ready": (*kubectl, "wait", "node", "--all", "--for=condition=Ready", "--timeout=300s"),
        "CoreDNS": (*wait, "deployment/coredns"),
        "controllers": (*wait, "deployment/calico-kube-controllers"),
    }
    began = time.monotonic()
    try:
        for name, command in steps.items():
            start = time.monotonic()
            given = cluster if name == "kind create" else ""
            subprocess.run(command, input=given, text=True, check=True, capture_output=True)
            print(f"  {time.monotonic() - began:6.2f} s  +{time.monotonic() - start:5.2f}  {name}", flush=True)
        return time.monotonic() - began
    finally:
        subprocess.run((chosen.binary, "delete", "cluster", "--name", BARE), check=True, capture_output=True)


def with_nodes(lab: Lab, count: int | None, folder: Path) -> Lab:
    """The lab, or a copy of it with so many nodes."""
    if count is None:
        return lab
    copied = Path(shutil.copytree(lab.folder, folder / lab.id))
    file = copied / "lab.yaml"
    spec = yaml.safe_load(file.read_text(encoding="utf-8"))
    spec["topology"] = {**spec.get("topology", {}), "nodes": count}
    file.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    return load_lab(copied)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lab", nargs="?", default="first-policy")
    parser.add_argument("--nodes", type=int, help="how many nodes the lab has; as it says where left out")
    parser.add_argument("--rounds", type=int, default=3, help="how often the next lab is started")
    parser.add_argument("--rest", type=float, default=12.0, help="seconds between a lab's end and the next start")
    parser.add_argument("--bare", action="store_true", help="first what kind and Calico take without netdojo")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lab, alone = with_nodes(find_lab(given.lab), given.nodes, Path(folder)), 0.0
        if given.bare:
            print("$ kind and Calico by hand")
            alone = bare(Path(folder), lab.spec.topology)
        os.environ["NETDOJO_HOME"] = str(Path(folder) / "home")
        try:
            first = stamped("lab", "start", str(lab.folder), "--on", "kind")
            following = []
            for _ in range(given.rounds):
                stamped("lab", "stop", lab.id)
                time.sleep(given.rest)
                following.append(stamped("lab", "start", str(lab.folder), "--on", "kind"))
        finally:
            stamped("lab", "stop", lab.id, "--delete")
    over = f", {first - alone:.1f} s over kind and Calico by themselves" if alone else ""
    print(f"from nothing {first:.1f} s{over}; the next lab {', '.join(f'{took:.1f}' for took in following)} s")


if __name__ == "__main__":
    main()
