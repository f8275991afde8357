"""Kill mutants of the evaluation modules with the tests; `python tests/mutation/run.py --help`, see docs/mutation.md.

One pytest session collects the tests once. A child of it learns which test runs which line, and how long it takes; then
each mutant gets a child of its own, in which its code is swapped in and the tests of its lines run, those first that
killed its neighbours, until one fails.
"""

from __future__ import annotations

import argparse
import functools
import gc
import hashlib
import json
import os
import pickle
import random
import resource
import select
import signal
import sys
import time
import tomllib
from bisect import bisect_right
from collections import Counter, defaultdict
from fnmatch import fnmatch
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import coverage
import make
import pytest
from _pytest.runner import runtestprotocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
CORPORA = ROOT.parent / "shared" / "corpora"
MEMORY = 3 << 30
PATIENCE = 20
"""Seconds that a child may sleep: no test of these does."""
Lines = dict[str, dict[int, set[str]]]


def chosen(patterns: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Yield the modules to mutate, those of pyproject.toml that fit any of the patterns."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["netdojo-mutation"]
    for listed in settings["modules"]:
        for file in sorted(ROOT.glob(listed)):
            name = str(file.relative_to(ROOT).with_suffix("")).replace("/", ".")
            if not name.endswith("__init__") and any(fnmatch(name, f"*{each}*") for each in patterns or [""]):
                yield file, name


def in_child(work: Callable[[], Any], *, seconds: float = 0) -> Any:
    """Return what the work returns in a forked child; None when it was ended, by its limit or otherwise."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            silent = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(silent, stream)
            if seconds:
                limit = int(seconds) + 1
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            with os.fdopen(writing, "wb") as out:
                pickle.dump(work(), out)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as sent:
        got = _read(sent, child) if seconds else sent.read()
    os.waitpid(child, 0)
    return pickle.loads(got) if got else None  # noqa: S301 - of our own child


def _read(sent: Any, child: int) -> bytes:
    """Read until the child is done; one that only waits would not be ended by its limit, and is here."""
    asleep = 0
    while not select.select([sent], [], [], 1)[0]:
        state = Path(f"/proc/{child}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        asleep = asleep + 1 if state == "S" else 0
        if asleep >= PATIENCE:
            os.kill(child, signal.SIGKILL)
    return bytes(sent.read())


def forget() -> None:
    """Empty the caches that collecting has filled: they hold what unchanged code answered."""
    for each in gc.get_objects():
        if isinstance(each, functools._lru_cache_wrapper) and str(each.__module__).startswith("grader"):
            each.cache_clear()


class Killing:
    """What happens in place of running the collected tests."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.killers: dict[str, Counter[str]] = defaultdict(Counter)
        self.results: dict[str, list[Any]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        forget()
        for item in session.items:
            if warm := getattr(item.module, "warm", None):
                warm(CORPORA)  # once, for every child
        say(f"{len(self.items)} tests; learning which of them runs which line")
        began = time.monotonic()
        learnt = self._known()
        if not learnt or learnt[2]:
            say("the tests do not pass as they are", *(learnt[2] if learnt else ()))
            pytest.exit("nothing to measure", 1)
        self.lines, self.seconds, _ = learnt
        say(f"learnt in {time.monotonic() - began:.0f} s; without tracing they take {sum(self.seconds.values()):.1f} s")
        wanted = [m for file, name in chosen(self.options.patterns) for m in self._mutants(file, name)]
        if self.options.again:
            survived = {each["name"] for each in json.loads(self.options.again.read_text()) if each["end"] != "killed"}
            changes = {each["change"] for each in json.loads(self.options.again.read_text()) if each["end"] != "killed"}
            wanted = [m for m in wanted if m.name in survived or m.change in changes]
        wanted = wanted[self.options.part :: self.options.parts]
        random.Random(0).shuffle(wanted)  # a run that is cut short is a fair sample
        gc.freeze()
        say(f"{len(wanted)} mutants")
        began = time.monotonic()
        for number, mutant in enumerate(wanted, 1):
            self._judge(mutant)
            if number % 25 == 0 or number == len(wanted):
                self._write()
                ends = Counter(each[0] for each in self.results.values())
                say(f"{number} of {len(wanted)} in {time.monotonic() - began:.0f} s: {dict(ends)}")
        return True

    def _mutants(self, file: Path, name: str) -> list[make.Mutant]:
        """The mutants of a module, from an earlier run where its text is the same."""
        if self.options.learnt is None:
            return make.mutants(file, name)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        kept = self.options.learnt.with_name(f"{self.options.learnt.name}.{name}.{digest}")
        if not kept.exists():
            kept.write_bytes(pickle.dumps(make.mutants(file, name)))
        made: list[make.Mutant] = pickle.loads(kept.read_bytes())  # noqa: S301 - our own
        return made

    def _known(self) -> Any:
        """What an earlier run has learnt, when told where that is; tests that it did not know are learnt now."""
        file = self.options.learnt
        lines, seconds, _ = pickle.loads(file.read_bytes()) if file and file.exists() else ({}, {}, [])  # noqa: S301 - our own
        everything = self.items
        self.items = {name: item for name, item in everything.items() if name not in seconds}
        if not self.items:
            self.items = everything
            return lines, seconds, []
        more = in_child(self._learn)
        self.items = everything
        if not more or more[2]:
            return more
        for name, by_line in more[0].items():
            for line, tests in by_line.items():
                lines.setdefault(name, {}).setdefault(line, set()).update(tests)
        seconds |= more[1]
        if file:
            file.write_bytes(pickle.dumps((lines, seconds, [])))
        return lines, seconds, []

    def _learn(self) -> tuple[Lines, dict[str, float], list[str]]:
        measure = coverage.Coverage(data_file=None, include=[f"{ROOT}/grader/*"], config_file=False)
        seconds: dict[str, float] = {}
        for traced in (True, False):
            for item, following in zip(self.items.values(), [*list(self.items.values())[1:], None], strict=True):
                if traced:
                    measure.start()
                    measure.switch_context(item.nodeid)
                before = time.process_time()
                reports = runtestprotocol(item, log=False, nextitem=following)
                seconds[item.nodeid] = time.process_time() - before
                if traced:
                    measure.stop()
                if any(each.failed for each in reports):
                    return {}, {}, [item.nodeid, *(str(each.longrepr) for each in reports if each.failed)]
        data = measure.get_data()
        lines: Lines = {}
        for file in data.measured_files():
            lines[str(Path(file).relative_to(ROOT))] = {
                n: set(c) & self.items.keys() for n, c in data.contexts_by_lineno(file).items()
            }
        return lines, seconds, []

    def _judge(self, mutant: make.Mutant) -> None:
        file = ROOT / f"{mutant.module.replace('.', '/')}.py"
        reached = self.lines.get(str(file.relative_to(ROOT)), {})
        tests = {test for line in mutant.lines for test in reached.get(line, ())} & self.items.keys()
        if not tests:
            self.results[mutant.name] = ["no test", mutant, "", 0.0]
            return
        killers = self.killers[f"{mutant.module}.{mutant.function}"] | self.killers[mutant.module]
        order = sorted(tests, key=lambda test: (-killers[test], self.seconds[test]))
        spent = list(accumulate(self.seconds[test] for test in order))
        order = order[: max(5, bisect_right(spent, self.options.budget))]
        limit = 5 * sum(self.seconds[test] for test in order) + 5
        began = time.monotonic()
        ended = in_child(lambda: self._failing(mutant, file, order), seconds=limit)
        took = time.monotonic() - began
        if ended is None:
            self.results[mutant.name] = ["killed", mutant, "did not end", took]
        elif ended:
            self.killers[f"{mutant.module}.{mutant.function}"][ended] += 1
            self.results[mutant.name] = ["killed", mutant, ended, took]
        else:
            self.results[mutant.name] = ["survived", mutant, f"{len(order)} tests", took]

    def _failing(self, mutant: make.Mutant, file: Path, order: Sequence[str]) -> str:
        """Return the first test that fails with the mutant; empty when none does."""
        try:
            make.swap(mutant, file)
        except Exception as error:  # noqa: BLE001 - a default that cannot be had kills as an import would
            return f"import: {error}"
        items = [self.items[test] for test in order]
        for item, following in zip(items, [*items[1:], None], strict=True):
            if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
                return item.nodeid
        return ""

    def _write(self) -> None:
        told = [
            {"name": m.name, "end": end, "change": m.change, "by": by, "seconds": round(took, 3)}
            for end, m, by, took in self.results.values()
        ]
        self.options.out.write_text(json.dumps(told, indent=1), encoding="utf-8")


def say(*words: str) -> None:
    """Past pytest's capture."""
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, (" ".join(words) + "\n").encode())


def table(results: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Figures per module, as docs/mutation.md has them."""
    by_module: dict[str, Counter[str]] = defaultdict(Counter)
    for each in results:
        by_module[each["name"].partition(":")[0]][each["end"]] += 1
    folded: dict[str, Counter[str]] = defaultdict(Counter)
    for name, ends in by_module.items():
        folded[".".join(name.split(".")[:3])] += ends
    folded["all"] = sum(folded.values(), Counter())
    for name, ends in folded.items():
        yield f"| `{name}` | {ends.total()} | {ends['killed']} | {100 * ends['killed'] / ends.total():.1f} % |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", help="modules whose names hold one of these; all by default")
    parser.add_argument("--out", type=Path, default=ROOT / "mutants.json", help="where the results are written")
    parser.add_argument("--again", type=Path, help="only what is not killed in these results of an earlier run")
    parser.add_argument("--part", type=int, default=0, help="the part of the mutants that this process takes, from 0")
    parser.add_argument("--parts", type=int, default=1, help="how many processes share the work")
    parser.add_argument("--learnt", type=Path, help="where what tests run is kept from one run to the next")
    parser.add_argument("--budget", type=float, default=60, help="seconds of tests that a mutant must survive")
    options = parser.parse_args()
    tests = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["netdojo-mutation"]["tests"]
    os.chdir(ROOT)
    os.environ["NETDOJO_MUTATION"] = "1"
    status = pytest.main(
        [
            *tests,
            "-n0",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:benchmark",
            "--hypothesis-profile=mutation",
            "-m",
            "not slow",
        ],
        plugins=[Killing(options)],
    )
    if options.out.exists():
        print("\n".join(table(json.loads(options.out.read_text(encoding="utf-8")))))
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
