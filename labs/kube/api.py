"""What is asked of a Kubernetes API, whoever carries the questions: the port between cluster and client library.

Objects are the API's own JSON. Transport failures are `grader.errors.InfrastructureError`s; what the API itself refuses
is `Refused`, in the API's own words: whoever asked decides whether that is a broken file or something to live with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grader.ports import Manifest

MANAGER = "netdojo"
"""The field manager of everything that is applied here (server-side apply)."""


class Refused(Exception):  # noqa: N818 - the API's no is an answer, and seldom an error of the program
    """The API answered a request with a status that is no success.

    Attributes:
        code: the HTTP status.
        reason: the machine's word (`NotFound`, `Conflict`, `Invalid`, …).
        message: the API's own words, for people.
        causes: machine's words of the single causes.
    """

    def __init__(self, code: int, reason: str, message: str, causes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = tuple(causes)


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as this API serves it.

    Attributes:
        group: empty for the core group.
        version: of the group.
        plural: the resource's name in paths.
        kind: its name in manifests.
        namespaced: whether its objects live in namespaces.
        verbs: what can be done with it.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()

    @property
    def api_version(self) -> str:
        """As in a manifest: group/version, or the version alone in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Listing:
    """The objects of one kind at one moment; each carries its apiVersion and kind."""

    items: tuple[Manifest, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Output:
    """What a command in a pod printed. `code` is its exit status."""

    code: int
    stdout: bytes
    stderr: bytes


class Talk(Protocol):
    """A command in a pod that runs on, and answers line by line; begun when it is first asked."""

    async def ask(self, line: str, until: str, seconds: float) -> tuple[str, ...]:
        """Give it a line; the lines that it prints then, up to the line `until`.

        Raises:
            TimeoutError: that did not come in time.
            InfrastructureError: the command has ended, or its connection; the message has its last words.
            Refused: the API does not run it.
        """
        ...

    def close(self) -> None:
        """End the connection: the command is told that there is no more to read."""
        ...


class Api(Protocol):
    """A Kubernetes API.

    Every method raises `grader.errors.InfrastructureError` (`ClusterGoneError` when nobody answers) where the request
    could not be carried out, and `Refused` where the API said no.
    """

    @property
    def server(self) -> str:
        """The server's URL: two connections to the same are to the same cluster."""
        ...

    async def resources(self, *, again: bool = False) -> tuple[Resource, ...]:
        """The kinds that are served, in the groups' preferred versions first.

        Asked once, or `again`; now and then while a server of theirs is silent.
        """
        ...

    async def stale(self) -> frozenset[str]:
        """The versions whose kinds the API itself did not know when it was asked last: kubectl does not know them."""
        ...

    async def silent(self) -> frozenset[str]:
        """Those of them (`group/version`) whose server did not answer either: whether it serves a kind is not known."""
        ...

    async def list(self, resource: Resource, namespace: str = "", selector: str = "") -> Listing:
        """All objects of a kind, page by page, of one namespace or (empty) all; by labels where a selector is given."""
        ...

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """One object, or None."""
        ...

    async def apply(self, resource: Resource, namespace: str, manifest: Manifest, manager: str = MANAGER) -> Manifest:
        """Server-side apply, by force; the object as it is then."""
        ...

    async def replace(self, resource: Resource, namespace: str, manifest: Manifest) -> Manifest:
        """Write an object as a whole, whoever owns its fields; the object as it is then.

        It has to name the resource version that it replaces, and is refused (409) where that is not the newest.
        """
        ...

    async def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> bool:
        """Ask for its end; False when it is not there. `grace` in seconds, for pods."""
        ...

    def watch(self, resource: Resource, since: str) -> Iterator[Change]:
        """The changes of a kind in all namespaces after a resource version. Blocks: for a thread of its own.

        It ends when the API ends it (every few minutes). Raises `Refused` with code 410 when `since` is forgotten.
        """
        ...

    async def exec(self, pod: str, argv: Sequence[str], stdin: bytes, seconds: float, container: str = "") -> Output:
        """Run a command in a pod (namespace/name); at most `seconds`.

        Raises:
            TimeoutError: it did not end in time.
        """
        ...

    def talk(self, pod: str, argv: Sequence[str]) -> Talk:
        """A command in a pod (namespace/name) that is spoken to."""
        ...

    async def post(self, path: str, body: Manifest) -> Manifest:
        """Create at a path of the API: for reviews, which are asked and not kept."""
        ...

    async def patch(self, path: str, body: Manifest) -> Manifest:
        """Strategic merge at a path of the API: for parts of an object that are no kind of their own."""
        ...
