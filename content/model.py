"""Courses, chapters, lessons, quizzes and labs as frozen models.

A course is a folder; `content.load` reads it. Field descriptions are what editors show (see `content.schema`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from content.errors import printable

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A name that is safe as a folder, a namespace and a command-line argument."""

Backend = Literal["sandbox", "kind", "kubeconfig"]
Need = Literal["multi-node", "ipv6", "hosts", "ingress", "ebpf", "calico"]
Others = Literal["deny", "allow", "unchanged"]


class Model(BaseModel):
    """Frozen, and strict about unknown fields: a typing error in a lab is a defect, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @field_validator("*")
    @classmethod
    def _shown_on_terminals(cls, value: object) -> object:
        """Texts are shown as they are, so escape sequences, which YAML can write, are no part of one."""
        if isinstance(value, str) and printable(value) != value:
            raise PydanticCustomError("control_character", "control characters")
        return value


class PortMapping(Model):
    """A port of the learner's machine (on loopback) that leads to a port of the first node."""

    host: int = Field(ge=1024, le=65535, description="on the machine's loopback")
    node: int = Field(ge=1, le=65535, description="on the first node: a Service's node port, as a rule")
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"


class Topology(Model):
    """The cluster that a lab wants."""

    nodes: int = Field(default=1, ge=1, le=8, description="number of nodes; pods are spread over them in order")
    families: tuple[Literal["ipv4", "ipv6"], ...] = Field(
        default=("ipv4",), min_length=1, description="IP families of pods; every one of them is probed"
    )
    hosts: tuple[Slug, ...] = Field(default=(), description="outside hosts, by the names that arrows use")
    dataplane: Literal["iptables", "nftables", "ebpf"] | None = Field(
        default=None, description="Calico's dataplane at the start (kind only); left out: iptables"
    )
    kube_proxy: Literal["iptables", "nftables"] | None = Field(
        default=None, description="kube-proxy's mode (kind only); left out: iptables"
    )
    pod_ranges: tuple[str, ...] = Field(
        default=(), description="addresses of pods, a range for each of `families` in their order (kind only)"
    )
    service_ranges: tuple[str, ...] = Field(default=(), description="addresses of Services, likewise (kind only)")
    ports: tuple[PortMapping, ...] = Field(
        default=(), description="ports of the learner's machine that lead to the first node (kind only)"
    )

    @property
    def kind_only(self) -> tuple[str, ...]:
        """The fields that are set, and that no cluster but one of kind can follow."""
        names = ("dataplane", "kube_proxy", "pod_ranges", "service_ranges", "ports")
        return tuple(name for name in names if getattr(self, name))


class Connectivity(Model):
    """A judgement of the complete matrix: what `allow` and `deny` do not list is judged by `others`."""

    allow: tuple[str, ...] = Field(default=(), description="arrows that must be open")
    deny: tuple[str, ...] = Field(default=(), description="arrows that must be closed")
    others: Others | None = Field(
        default=None,
        description="every cell not listed: deny, allow, or unchanged from the untouched start; "
        "left out, the check judges the listed arrows only",
    )
    between: tuple[str, ...] = Field(
        default=(),
        description="limits the matrix to these endpoints (as source and as destination); empty: all",
    )
    to: tuple[str, ...] = Field(default=(), description="limits its destinations; empty: all of `between`")


class Dataplane(Model):
    """What carries traffic on every node, judged by what its kernel holds: what was configured does not count."""

    mode: Literal["ebpf", "iptables", "nftables"] | None = Field(
        default=None, description="Calico's dataplane: programs, maps or rules on every node, and an agent that works"
    )
    kube_proxy: Literal["gone", "running"] | None = Field(
        default=None, description="gone: no pod of it, and none of its rules on any node; running: ready on every node"
    )
    services: tuple[str, ...] = Field(
        default=(),
        description="Services (name, or name.namespace) that every node's eBPF NAT table must list with backends",
    )

    @property
    def requirements(self) -> tuple[str, ...]:
        """The names of what is asked, in the order in which it is judged and reported."""
        asked = {"mode": self.mode, "kube_proxy": self.kube_proxy, "services": self.services}
        return tuple(name for name, value in asked.items() if value)


class Check(Model):
    """One judgement; exactly one kind is given."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    connectivity: Connectivity | None = Field(default=None, description="who reaches whom, judged by traffic")
    dataplane: Dataplane | None = Field(default=None, description="what carries the traffic on the nodes")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("one_kind", "{given}", {"given": " and ".join(given) or "nothing"})
        return self


class Hint(Model):
    """A step towards the solution; taking it costs points."""

    text: str = Field(min_length=1)
    cost: int = Field(default=0, ge=0, description="points taken from the task when this hint is shown")


class Task(Model):
    """What the learner has to bring about, and how it is judged."""

    id: Slug
    title: str = Field(min_length=1, max_length=80)
    points: int = Field(ge=1, le=100)
    text: str = Field(default="", description="what to do, in Markdown; shown with the task")
    hints: tuple[Hint, ...] = ()
    checks: tuple[Check, ...] = Field(min_length=1)

    @property
    def connectivity(self) -> tuple[Connectivity, ...]:
        """Its checks of who reaches whom."""
        return tuple(check.connectivity for check in self.checks if check.connectivity is not None)


class Failure(Model):
    """Where a mistake must be caught: exactly these arrows and requirements differ from what the task expects."""

    opens: tuple[str, ...] = Field(default=(), description="arrows that are open and should not be (over-permission)")
    closes: tuple[str, ...] = Field(default=(), description="closed arrows that should be open (over-restriction)")
    dataplane: tuple[Literal["mode", "kube_proxy", "services"], ...] = Field(
        default=(), description="what of the task's `dataplane` checks does not hold"
    )


class Mistake(Model):
    """A known wrong answer: the manifests in `mistakes/<name>/`. Tasks that are not named must pass."""

    title: str = Field(min_length=1, max_length=100)
    fails: dict[Slug, Failure] = Field(min_length=1, description="task id: the cells in which it fails")


class LabSpec(Model):
    """The contents of `lab.yaml`.

    The lab's matrix has as endpoints the workloads of its start manifests, its hosts, and every name that an arrow
    mentions. So a lab takes in what the cluster itself provides by naming it: `coredns.kube-system` (pods labelled
    `k8s-app: kube-dns`, behind the Service `kube-dns`) becomes an endpoint with the first arrow such as
    `customer -> coredns.kube-system:53/udp,53`.
    """

    id: Slug = Field(description="the folder's name, and the lab's name on the command line")
    title: str = Field(min_length=1, max_length=60, description="what lists and the lab's screen show")
    summary: str = Field(min_length=1, max_length=160, description="one line for lists")
    minutes: int = Field(ge=1, le=120, description="how long a learner needs")
    backends: tuple[Backend, ...] = Field(
        default=("sandbox", "kind"), min_length=1, description="where it runs, and where it is proven"
    )
    needs: tuple[Need, ...] = Field(default=(), description="what a backend must have")
    topology: Topology = Field(default=Topology(), description="the cluster that the lab wants")
    namespace: Slug = Field(description="namespace of names in arrows that give none, and of kubectl without -n")
    tasks: tuple[Task, ...] = Field(min_length=1, description="in the order in which they are best done")
    mistakes: dict[Slug, Mistake] = Field(min_length=2, description="known wrong answers, by folder in mistakes/")


class LessonHead(Model):
    """The front matter of a lesson: the lines between two `---` at its top."""

    title: str = Field(min_length=1, max_length=60)
    minutes: int = Field(ge=1, le=30, description="how long reading takes")


class ChapterSpec(Model):
    """The contents of `chapter.yaml`; the folder's name, `03-network-policy`, gives its number and id."""

    title: str = Field(min_length=1, max_length=60)
    summary: str = Field(min_length=1, max_length=160, description="one line for lists")
    labs: tuple[Slug, ...] = Field(default=(), description="folders in `labs/`, in the order in which they are done")


class CourseSpec(Model):
    """The contents of `course.yaml`; the folder's name is the course's id."""

    title: str = Field(min_length=1, max_length=60)
    summary: str = Field(min_length=1, max_length=160, description="one line for lists")


class Manifest(Model):
    """One YAML file of Kubernetes objects that belongs to a lab, already read through the limits of `yamlio`."""

    path: Path
    text: str
    objects: tuple[dict[str, object], ...]


class Lab(Model):
    """A lab as loaded: its spec, its instructions, and the manifests of each state."""

    folder: Path
    chapter: int
    spec: LabSpec
    instructions: str = Field(description="Markdown")
    start: tuple[Manifest, ...]
    solution: tuple[Manifest, ...]
    mistakes: dict[str, tuple[Manifest, ...]]

    @property
    def id(self) -> str:
        """The lab's name on the command line."""
        return self.spec.id


class Lesson(Model):
    """A page of 5 to 10 minutes."""

    id: Slug
    title: str
    minutes: int
    path: Path
    text: str = Field(description="Markdown without the front matter")


class Option(Model):
    """An answer that can be picked."""

    text: str = Field(min_length=1)
    right: bool = False
    why: str = Field(min_length=1, description="why this is right, or wrong")


class Question(Model):
    """A question with one right option or, with `several: true`, any number of them."""

    id: Slug
    text: str = Field(min_length=1)
    several: bool = False
    options: tuple[Option, ...] = Field(min_length=2)


class Quiz(Model):
    """The questions at the end of a chapter."""

    questions: tuple[Question, ...]


class Chapter(Model):
    """A chapter as loaded."""

    number: int
    id: Slug
    title: str
    summary: str
    folder: Path
    lessons: tuple[Lesson, ...]
    labs: tuple[Lab, ...]
    quiz: Quiz | None = None


class Course(Model):
    """A course as loaded."""

    id: Slug
    title: str
    summary: str
    folder: Path
    chapters: tuple[Chapter, ...]
