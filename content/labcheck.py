"""What the files of one lab say about one another: arrows and workloads, tasks and mistakes, hints and points."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from content.arrows import ANY, ArrowError, parse
from content.errors import Defect
from content.wording import suggestion
from content.workloads import Workloads
from content.yamlio import LAB_FILE, line_of, read_manifests, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from content.arrows import Arrow, Name
    from content.model import Connectivity, Dataplane, Lab, LabSpec, Manifest, Task

Path = tuple[str | int, ...]
"""A path of keys and indexes inside of lab.yaml."""
WAY = "netdojo/calico"
WAYS = ("", "operator", "manifests")
"""An object so annotated is for clusters on which Calico was installed that way; two of them are two objects."""


def check_lab(lab: Lab, *, complete: bool = True) -> Iterator[Defect]:
    """Find what is wrong with a lab as a whole.

    Args:
        lab: as loaded.
        complete: False when some of its start manifests could not be read: what they hold is not missed then.
    """
    check = _Check(lab, complete=complete)
    yield from _topology(check, lab.spec)
    seen: set[str] = set()
    for index, task in enumerate(lab.spec.tasks):
        at: Path = ("tasks", index)
        if task.id in seen:
            yield check.defect((*at, "id"), f"there are two tasks {task.id}", "progress is kept by id: change one")
        seen.add(task.id)
        yield from check.task(at, task)
    yield from check.mistakes(seen)
    yield from check.states()
    if not lab.instructions.strip():
        yield Defect(lab.folder / "instructions.md", 0, "there are no instructions", "say what the learner finds")


def _topology(check: _Check, spec: LabSpec) -> Iterator[Defect]:
    """What a topology asks for that its backends cannot give, and ranges that are none."""
    topology = spec.topology
    if topology.kind_only and spec.backends != ("kind",):
        yield check.defect(
            ("topology", topology.kind_only[0]), f"only kind can follow {topology.kind_only[0]}", "say backends: [kind]"
        )
    for name in ("pod_ranges", "service_ranges"):
        ranges = getattr(topology, name)
        if ranges and [_family(text) for text in ranges] != list(topology.families):
            yield check.defect(
                ("topology", name),
                f"{name} is not a range of each of {', '.join(topology.families)}, in this order",
                "write networks such as 10.10.0.0/16 or fd00:10::/56",
            )


def _family(text: str) -> str:
    try:
        return f"ipv{ipaddress.ip_network(text).version}"
    except ValueError:
        return ""


class _Check:
    def __init__(self, lab: Lab, *, complete: bool) -> None:
        self._lab = lab
        self._complete = complete
        self._file = lab.folder / "lab.yaml"
        self._text = read_text(self._file, LAB_FILE)
        self._workloads = Workloads.of(lab)

    def defect(self, at: Path, cause: str, remedy: str) -> Defect:
        return Defect(self._file, line_of(self._text, at), cause, remedy)

    def task(self, at: Path, task: Task) -> Iterator[Defect]:
        cost = sum(hint.cost for hint in task.hints)
        if cost > task.points:
            cause = f"the hints of {task.id} cost {cost} points, the task gives {task.points}"
            yield self.defect((*at, "hints"), cause, "a task that was solved must not lose points")
        for index, check in enumerate(task.checks):
            here: Path = (*at, "checks", index)
            if check.connectivity is not None:
                yield from self._connectivity((*here, "connectivity"), task, check.connectivity)
            if check.dataplane is not None:
                yield from self._dataplane((*here, "dataplane"), task, check.dataplane)

    def _connectivity(self, here: Path, task: Task, judged: Connectivity) -> Iterator[Defect]:
        if not (judged.allow or judged.deny or judged.others):
            yield self.defect(here, f"this check of {task.id} judges nothing", "give allow, deny or others")
        for field in ("allow", "deny"):
            yield from self._arrows((*here, field), getattr(judged, field))
        for field in ("between", "to"):
            yield from self._endpoints((*here, field), getattr(judged, field))

    def _dataplane(self, here: Path, task: Task, judged: Dataplane) -> Iterator[Defect]:
        if not judged.requirements:
            cause = f"this check of {task.id} judges nothing"
            yield self.defect(here, cause, f"give {' or '.join(type(judged).model_fields)}")
        if "ebpf" not in self._lab.spec.needs:
            cause = "a lab with dataplane checks runs where a node's kernel can be looked at"
            yield self.defect(here, cause, "add ebpf to `needs`")
        known = self._workloads.services
        for index, name in enumerate(judged.services):
            if self._complete and name not in known:
                cause = f"the start manifests make no Service {name}"
                yield self.defect((*here, "services", index), cause, suggestion(name, known))

    def mistakes(self, tasks: set[str]) -> Iterator[Defect]:
        folders = {folder.name for folder in (self._lab.folder / "mistakes").glob("*") if folder.is_dir()}
        for name in sorted(folders - set(self._lab.spec.mistakes)):
            cause = f"nothing in lab.yaml speaks of the folder mistakes/{name}"
            yield self.defect(("mistakes",), cause, "say there where it fails, or remove the folder")
        for name, mistake in self._lab.spec.mistakes.items():
            at: Path = ("mistakes", name, "fails")
            for task, failure in mistake.fails.items():
                if task not in tasks:
                    yield self.defect((*at, task), f"there is no task {task}", suggestion(task, tasks))
                if not (failure.opens or failure.closes or failure.dataplane):
                    cause = f"{name} fails {task}, but no cell is given"
                    yield self.defect((*at, task), cause, "list the cells that it opens or closes")
                asked = self._required(task)
                for index, requirement in enumerate(failure.dataplane):
                    if requirement not in asked:
                        cause = f"no dataplane check of {task} asks for {requirement}"
                        yield self.defect((*at, task, "dataplane", index), cause, suggestion(requirement, asked))
                for field in ("opens", "closes"):
                    yield from self._arrows((*at, task, field), getattr(failure, field))

    def _required(self, name: str) -> set[str]:
        """What the dataplane checks of a task ask for."""
        checks = (check for task in self._lab.spec.tasks if task.id == name for check in task.checks)
        return {asked for check in checks if check.dataplane is not None for asked in check.dataplane.requirements}

    def states(self) -> Iterator[Defect]:
        """The manifests of each state: whole objects, each of them once, in namespaces that exist."""
        lab = self._lab
        known = self._workloads.namespaces
        for manifests in (lab.start, lab.solution, *lab.mistakes.values()):
            seen: set[tuple[str, ...]] = set()
            for manifest in manifests:
                for value, line in read_manifests(manifest.text, file=manifest.path):
                    yield from self._object(manifest, value, line, seen, known)

    def _object(
        self, manifest: Manifest, value: dict[str, object], line: int, seen: set[tuple[str, ...]], known: set[str]
    ) -> Iterator[Defect]:
        metadata = value.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        has = {
            "apiVersion": value.get("apiVersion"),
            "kind": value.get("kind"),
            "metadata.name": metadata.get("name"),
        }
        for field, given in has.items():
            if not isinstance(given, str) or not given:
                yield Defect(manifest.path, line, f"the object has no {field}", "every Kubernetes object has one")
        namespace = metadata.get("namespace")
        annotations = metadata.get("annotations")
        way = str(annotations.get(WAY, "")) if isinstance(annotations, dict) else ""
        if way not in WAYS:
            cause = f"{WAY}: {way!r} is no way in which Calico is installed"
            yield Defect(manifest.path, line, cause, suggestion(way, WAYS[1:]))
        key = (str(has["kind"]), str(namespace or self._lab.spec.namespace), str(has["metadata.name"]), way)
        if key in seen:
            yield Defect(manifest.path, line, f"{key[0]} {key[2]} is given twice", "keep one: the second replaces it")
        seen.add(key)
        if self._complete and isinstance(namespace, str) and namespace not in known:
            cause = f"the namespace {namespace} is not made by the start manifests"
            yield Defect(manifest.path, line, cause, suggestion(namespace, known))

    def _arrows(self, at: Path, arrows: Iterable[str]) -> Iterator[Defect]:
        for index, text in enumerate(arrows):
            try:
                arrow = parse(text)
            except ArrowError as error:
                yield self.defect((*at, index), f"{text!r} is no arrow: {error}", "write it like a -> b:80")
                continue
            for cause, remedy in self._problems(arrow):
                yield self.defect((*at, index), f"{text}: {cause}", remedy)

    def _problems(self, arrow: Arrow) -> Iterator[tuple[str, str]]:
        for name in (*arrow.sources, *arrow.destinations, *((arrow.seen_as,) if arrow.seen_as else ())):
            yield from self._unknown(name)
        if arrow.via != "pod":
            return
        for name in arrow.destinations:
            served = self._workloads.ports(name)
            for port in arrow.ports:
                if served is not None and port.protocol != "ICMP" and port not in served:
                    yield (
                        f"{name} does not serve {port}",
                        f"it declares: {', '.join(map(str, sorted(served))) or 'no ports'}",
                    )

    def _endpoints(self, at: Path, names: Iterable[str]) -> Iterator[Defect]:
        for index, text in enumerate(names):
            try:
                arrow = parse(f"{text} -> *")
            except ArrowError as error:
                yield self.defect((*at, index), f"{text!r} names no endpoint: {error}", "write a workload's name")
                continue
            for name in arrow.sources:
                for cause, remedy in self._unknown(name):
                    yield self.defect((*at, index), cause, remedy)

    def _unknown(self, name: Name) -> Iterator[tuple[str, str]]:
        if self._complete and name != ANY and not self._workloads.knows(name):
            yield f"there is no workload {name}", suggestion(str(name), self._workloads.names)
