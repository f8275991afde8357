"""Speed and memory of the reachability engine on estates of 1,000 and 10,000 pods: `python tests/bench/bench_reach.py`.

Whole processes are run three times and the quickest counts, as do in-process figures: what others do on the machine
only ever adds. Each figure stands beside its limit, and a figure over it makes the exit status 1.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from estate import Estate

from content.yamlio import read_manifests
from grader.kube.parse import read_objects
from grader.reachability.verdict import Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.kube.model import Objects

TIMES = 3
MIB = 1024 * 1024


@dataclass(frozen=True)
class Size:
    """An estate and the limits that hold for it: seconds, MiB."""

    pods: int
    policies: int
    process: float
    memory: float
    in_process: float
    changed: float | None
    calico: bool = False


SIZES = (
    Size(1_000, 200, 0.6, 120, 0.050, 0.020),
    Size(1_000, 200, 0.6, 120, 0.050, 0.020, calico=True),
    Size(10_000, 2_000, 5.0, 600, 1.5, None),
)
LOADER = "import sys, yaml\nfor _ in yaml.load_all(open(sys.argv[1]), yaml.CSafeLoader): pass\n"


class Figures:
    """Lines of figures, and whether all are within their limits."""

    def __init__(self) -> None:
        self.held = True

    def show(self, name: str, value: float, limit: float | None, unit: str, note: str = "") -> None:
        scaled = {"ms": 1000.0, "s": 1.0, "MiB": 1.0, "x": 1.0, "MB": 1.0}[unit]
        shown = f"{value * scaled:10.3g} {unit:<4}"
        beyond = limit is not None and value > limit
        self.held &= not beyond
        bound = f"limit {limit * scaled:g} {unit}" if limit is not None else ""
        print(f"  {name:<58}{shown} {bound:<18}{'OVER ' if beyond else ''}{note}")


# A program's peak counts what its parent held when it was started, so a small one stands between.
LAUNCHER = """\
import os, subprocess, sys, time
began = time.perf_counter()
child = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(child.pid, 0)
print(time.perf_counter() - began, usage.ru_maxrss / 1024, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def process(arguments: list[str], output: Path) -> tuple[float, float]:
    """Return the wall seconds of the quickest run, and the most memory of any in MiB."""
    best, peak = float("inf"), 0.0
    for _ in range(TIMES):
        with output.open("wb") as out:
            launched = [sys.executable, "-S", "-c", LAUNCHER, *arguments]
            done = subprocess.run(launched, stdout=out, stderr=subprocess.PIPE, check=True, text=True)
        seconds, memory = map(float, done.stderr.split()[-2:])
        best, peak = min(best, seconds), max(peak, memory)
    return best, peak


def quickest(work: Callable[[], Any], times: int = TIMES) -> float:
    best = float("inf")
    for _ in range(times):
        gc.collect()
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def all_pairs(objects: Objects) -> World:
    world = World(objects)
    world.reach(4)
    return world


def changed(world: World, objects: Objects) -> float:
    """Seconds for one changed policy, beginning with a new snapshot and ending with all pairs."""
    best = float("inf")
    for place in range(len(objects.policies) // 2, len(objects.policies) // 2 + 5):
        policies = list(objects.policies)
        policies[place] = replace(policies[place], ingress=policies[0].ingress, egress=(), isolates_egress=True)
        after = replace(objects, policies=tuple(policies))
        best = min(best, quickest(lambda after=after: world.changed(after).reach(4), 1))
    return best


def measure(size: Size, folder: Path, figures: Figures) -> None:
    text = "---\n".join(Estate(size.pods, size.policies, calico=size.calico).documents())
    file = folder / f"estate-{size.pods}.yaml"
    file.write_text(text)
    objects = read_objects(item for item, _ in read_manifests(file, shared=True))
    world = all_pairs(objects)
    reach = world.reach(4)
    print(
        f"{size.pods:,} pods, {size.policies:,} policies{' in tiers of Calico' if size.calico else ''}, "
        f"{len(text) / 1e6:.1f} MB of YAML; {len(reach.classes):,} classes of endpoints, "
        f"{reach.ports.everything.bit_length()} of ports"
    )
    output = folder / "matrix.json"
    command = [sys.executable, "-m", "tui", "reach", "matrix", str(file), "--output", "json"]
    seconds, peak = process(command, output)
    loader, _ = process([sys.executable, "-c", LOADER, str(file)], folder / "nothing")
    figures.show("netdojo reach matrix, every pair at every port, whole process", seconds, size.process, "s")
    figures.show("  its peak memory", peak, size.memory, "MiB")
    figures.show("  its JSON", output.stat().st_size / 1e6, 20, "MB")
    figures.show("  as a multiple of PyYAML's C loader on the file", seconds / loader, 2.5, "x", f"({loader:.2f} s)")
    figures.show("in process: read the YAML", quickest(lambda: read_manifests(file, shared=True)), None, "ms")
    located = [item for item, _ in read_manifests(file, shared=True)]
    figures.show("in process: parse the objects", quickest(lambda: read_objects(located)), None, "ms")
    pairs = quickest(lambda: all_pairs(objects))
    figures.show("in process: all pairs from parsed objects", pairs, size.in_process, "ms")
    if size is SIZES[0]:
        more = Estate(size.pods, size.policies, replicas=10)
        larger = read_objects(item for item, _ in read_manifests("---\n".join(more.documents()), shared=True))
        ratio = quickest(lambda: all_pairs(larger)) / pairs
        figures.show("  ten times the replicas, as a multiple of that", ratio, 3, "x", f"({len(larger.pods):,} pods)")
    figures.show("one changed policy, all pairs again", changed(world, objects), size.changed, "ms")
    refs = list(world.endpoints.pods)
    flows = [Flow(refs[i * 7 % len(refs)], refs[i * 31 % len(refs)], 8080) for i in range(20)]
    figures.show("one explanation", quickest(lambda: [world.explain(f) for f in flows]) / 20, 0.010, "ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="1,000 pods only")
    options = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES[: 2 if options.small else None]:
            measure(size, Path(folder), figures)
    raise SystemExit(0 if figures.held else 1)


if __name__ == "__main__":
    main()
