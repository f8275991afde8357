"""The API over HTTP, with plain JSON in both directions.

The `kubernetes` client's models are not used: a snapshot has to be what the API says, unknown fields included. Requests
block, so each runs in a thread of a pool of this connection's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import urllib3

from grader.errors import ClusterGoneError, InfrastructureError
from labs.kube import access, channels
from labs.kube.api import MANAGER, Change, Listing, Output, Refused, Resource
from labs.kube.resources import DECIDING, read_discovery, read_kinds, stale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from grader.ports import Manifest
    from labs.kube.access import Access
    from labs.kube.api import Talk

_PAGE = 500
"""Objects a page of a list: what kubectl asks for."""
_ANSWER_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_WATCH_SECONDS = 300
_PATIENCE_SECONDS = 20.0
"""How long an API that says "later" (429, 503) is asked again."""
_THREADS = 16
_HOLES_SECONDS = 1.0
"""How long kinds that decide traffic are taken as known when a server of theirs did not answer: it may in a moment."""
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
_LATER = frozenset({429, 503, 504})
_TYPED = "failed to create typed patch object"
"""What the API server answers, with status 500, to server-side apply of an unknown field (1.37)."""
_T = TypeVar("_T")


def connect(kubeconfig: Path, context: str = "") -> KubernetesApi:
    """The API that a kubeconfig file leads to; nothing is asked yet.

    Args:
        kubeconfig: the file.
        context: empty for the file's current one.

    Raises:
        InfrastructureError: the file cannot be used.
    """
    return KubernetesApi(access.read(kubeconfig, context))


class KubernetesApi:
    """`labs.kube.api.Api` by a way to an API."""

    def __init__(self, way: Access) -> None:
        self._access = way
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="kubernetes-api")
        self._resources: tuple[Resource, ...] | None = None
        self._stale: frozenset[str] = frozenset()
        self._silent: frozenset[str] = frozenset()
        self._known_until = math.inf

    @property
    def server(self) -> str:
        """The server's URL: two connections to the same are to the same cluster."""
        return self._access.server

    async def resources(self, *, again: bool = False) -> tuple[Resource, ...]:
        """The kinds that are served."""
        if self._resources is None or again or time.monotonic() > self._known_until:
            self._known_until = time.monotonic() + _HOLES_SECONDS  # whoever asks meanwhile has what is known
            headers = {"Accept": _DISCOVERY}
            core, groups = await asyncio.gather(
                *(self._run(partial(self._json, "GET", path, headers=headers)) for path in ("/api", "/apis"))
            )
            self._stale = frozenset(stale(groups))
            needed = sorted(version for version in self._stale if version.rpartition("/")[0] in DECIDING)
            asked = await asyncio.gather(*(self._run(partial(self._kinds, version)) for version in needed))
            answers = {version: kinds for version, kinds in zip(needed, asked, strict=True) if kinds is not None}
            self._silent = self._stale - answers.keys()
            self._resources = (*read_discovery(core, groups), *(kind for kinds in answers.values() for kind in kinds))
            has_holes = not answers.keys() >= set(needed)
            self._known_until = time.monotonic() + _HOLES_SECONDS if has_holes else math.inf
        return self._resources

    async def stale(self) -> frozenset[str]:
        """The versions whose kinds the API itself did not know."""
        await self.resources()
        return self._stale

    async def silent(self) -> frozenset[str]:
        """The versions of whose kinds nothing is known."""
        await self.resources()
        return self._silent

    def _kinds(self, version: str) -> tuple[Resource, ...] | None:
        """What the server of one version says that it serves; None when it does not answer."""
        try:
            answer = self._send("GET", f"/apis/{quote(version)}", None, {}, _CONNECT_SECONDS)
            with _transport(self.server):
                try:
                    text = answer.read()
                finally:
                    answer.release_conn()
            return read_kinds(self._object(text)) if answer.status < 300 else None
        except InfrastructureError:
            return None  # the API itself has just answered

    async def list(self, resource: Resource, namespace: str = "", selector: str = "") -> Listing:
        """All objects of a kind, page by page."""
        return await self._run(partial(self._list, resource, namespace, selector))

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """One object, or None."""
        try:
            return await self._run(partial(self._json, "GET", _path(resource, namespace, name)))
        except Refused as refused:
            if refused.code == 404:
                return None
            raise

    async def apply(self, resource: Resource, namespace: str, manifest: Manifest, manager: str = MANAGER) -> Manifest:
        """Server-side apply, by force."""
        name = str(manifest["metadata"]["name"])
        path = _path(resource, namespace, name, fieldManager=manager, force="true", fieldValidation="Strict")
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return await self._run(partial(self._json, "PATCH", path, manifest, headers))

    async def replace(self, resource: Resource, namespace: str, manifest: Manifest) -> Manifest:
        """Write an object as a whole."""
        path = _path(resource, namespace, str(manifest["metadata"]["name"]))
        return await self._run(partial(self._json, "PUT", path, manifest))

    async def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> bool:
        """Ask for its end; False when it is not there."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace  # type: ignore[assignment]
        try:
            await self._run(partial(self._json, "DELETE", _path(resource, namespace, name), body))
        except Refused as refused:
            if refused.code == 404:
                return False
            raise
        return True

    async def post(self, path: str, body: Manifest) -> Manifest:
        """Create at a path of the API."""
        return await self._run(partial(self._json, "POST", path, body))

    async def patch(self, path: str, body: Manifest) -> Manifest:
        """Strategic merge at a path of the API."""
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        return await self._run(partial(self._json, "PATCH", path, body, headers))

    def watch(self, resource: Resource, since: str) -> Iterator[Change]:
        """The changes of a kind after a resource version; blocks."""
        path = _path(
            resource, watch="1", resourceVersion=since, allowWatchBookmarks="true", timeoutSeconds=str(_WATCH_SECONDS)
        )
        answer = self._send("GET", path, None, {}, _WATCH_SECONDS + _ANSWER_SECONDS)
        try:
            with _transport(self.server):
                if answer.status >= 300:
                    raise self._meaning(_refused(answer.status, _status(answer.read())))
                for line in _lines(answer):
                    event = self._object(line)
                    if event["type"] == "ERROR":
                        raise _refused(int(event["object"].get("code", 500)), event["object"])
                    yield Change(event["type"], event["object"])
        finally:
            answer.close()

    async def exec(self, pod: str, argv: Sequence[str], stdin: bytes, seconds: float, container: str = "") -> Output:
        """Run a command in a pod."""
        path = _exec_path(pod, argv, container, has_input=bool(stdin))
        session = channels.Session(self._access, path, stdin, seconds)
        try:
            with _transport(self.server):
                return await self._run(session.run)
        finally:
            session.close()

    def talk(self, pod: str, argv: Sequence[str]) -> Talk:
        """A command in a pod that is spoken to."""
        return _Spoken(channels.Conversation(self._access, _exec_path(pod, argv, has_input=True)), self)

    async def _run(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _list(self, resource: Resource, namespace: str, selector: str) -> Listing:
        items: list[Manifest] = []
        query = {"limit": str(_PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = self._json("GET", _path(resource, namespace, **query))
            items += (
                {"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in page.get("items") or ()
            )
            metadata = page.get("metadata", {})
            if not metadata.get("continue"):
                return Listing(tuple(items), str(metadata.get("resourceVersion", "")))
            query["continue"] = str(metadata["continue"])

    def _json(
        self, method: str, path: str, body: Manifest | None = None, headers: Mapping[str, str] | None = None
    ) -> Manifest:
        """One request and its answer; asked again while the API says that it is busy."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            answer = self._send(method, path, body, headers or {}, _ANSWER_SECONDS)
            with _transport(self.server):
                try:
                    text = answer.read()
                finally:
                    answer.release_conn()
            if answer.status < 300:
                return self._object(text)
            refused = _refused(answer.status, _status(text))
            if answer.status not in _LATER or time.monotonic() > deadline:
                raise self._meaning(refused) from None
            time.sleep(min(_seconds(answer.headers.get("Retry-After")), max(deadline - time.monotonic(), 0.1)))

    def _send(
        self, method: str, path: str, body: Manifest | None, headers: Mapping[str, str], seconds: float
    ) -> urllib3.BaseHTTPResponse:
        given = self._access.headers() | {"Accept": "application/json"} | dict(headers)
        if body is not None:
            given.setdefault("Content-Type", "application/json")
        with _transport(self.server):
            answer = self._access.pool.request(
                method,
                self.server + path,
                body=None if body is None else json.dumps(body).encode(),
                headers=given,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds),
                retries=False,
                preload_content=False,
            )
        if answer.status == 401:
            answer.release_conn()
            raise InfrastructureError(
                f"the cluster at {self.server} does not accept the kubeconfig's credentials (they may have expired)",
                remedy="log in to the cluster again, or start the lab again: it writes a new kubeconfig",
            )
        return answer

    def _object(self, text: bytes) -> Manifest:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise InfrastructureError(
                f"the API at {self.server} answered with no JSON object: {text[:80].decode(errors='replace')!r}",
                remedy="something else may listen there, or stand between: see the kubeconfig's server",
            )
        return found

    def _meaning(self, refused: Refused) -> Exception:
        """A refusal that says something of the cluster, and nothing of what was asked, is no answer."""
        if refused.code == 500 and _TYPED in refused.message:
            return Refused(422, "Invalid", refused.message)  # an object that is not of its kind's schema
        if refused.code in _LATER or refused.code >= 500:
            return InfrastructureError(
                f"the API at {self.server} does not work now ({refused.code}): {refused.message}",
                remedy="look at the cluster's system pods: kubectl get pods -A; then try again",
            )
        return refused


class _Spoken:
    """A conversation, in threads of the connection's own."""

    def __init__(self, conversation: channels.Conversation, api: KubernetesApi) -> None:
        self._conversation = conversation
        self._api = api

    async def ask(self, line: str, until: str, seconds: float) -> tuple[str, ...]:
        try:
            with _transport(self._api.server):
                return await self._api._run(partial(self._conversation.ask, line, until, seconds))  # noqa: SLF001 - its own
        except asyncio.CancelledError:
            self.close()  # its answer would be taken for that to the next question
            raise

    def close(self) -> None:
        self._conversation.close()


def _exec_path(pod: str, argv: Sequence[str], container: str = "", *, has_input: bool) -> str:
    namespace, _, name = pod.partition("/")
    query = [("command", part) for part in argv] + [("stdout", "true"), ("stderr", "true")]
    query += [("stdin", "true")] if has_input else []
    query += [("container", container)] if container else []
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}/exec?{urlencode(query)}"


def _path(resource: Resource, namespace: str = "", name: str = "", **query: str) -> str:
    parts = ["apis", resource.group] if resource.group else ["api"]
    parts.append(resource.version)
    if namespace and resource.namespaced:
        parts += ["namespaces", namespace]
    parts.append(resource.plural)
    if name:
        parts.append(name)
    return "/" + "/".join(quote(part, safe="") for part in parts) + (f"?{urlencode(query)}" if query else "")


class _transport(contextlib.AbstractContextManager[None]):  # noqa: N801 - reads as a statement: with _transport(server)
    """Turns what goes wrong between here and the API into errors for people."""

    def __init__(self, server: str) -> None:
        self._server = server

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, urllib3.exceptions.SSLError):
            raise InfrastructureError(
                f"the cluster at {self._server} does not prove who it is: {error}",
                remedy="another cluster may have taken this address: start the lab again, or mend the kubeconfig",
            ) from error
        if isinstance(error, (urllib3.exceptions.HTTPError, OSError)) and not isinstance(error, TimeoutError):
            raise ClusterGoneError(
                f"the cluster's API at {self._server} does not answer ({error})",
                remedy="start the lab again; its objects begin anew, your own files are untouched",
            ) from error


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    kept = b""
    while chunk := answer.read1():
        *lines, kept = (kept + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())


def _status(text: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"message": text[:500].decode(errors="replace")}


def _refused(code: int, status: Mapping[str, Any]) -> Refused:
    details = status.get("details")
    causes = (details.get("causes") if isinstance(details, dict) else None) or ()
    return Refused(
        code,
        str(status.get("reason", "")),
        str(status.get("message") or f"status {code}"),
        [str(cause.get("reason", "")) for cause in causes],
    )


def _seconds(after: str | None) -> float:
    return float(after) if after and after.isdigit() else 1.0
