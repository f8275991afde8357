"""The HTTP server: who may ask, how much, and who answers.

It listens on loopback only, and any user of the machine can reach that: so every request needs the lab's own token,
as a bearer token or as the first element of the path. (kubectl sends bearer tokens over TLS only, so the kubeconfig
has the token in the server's URL; loopback cannot be overheard by other users.)
Pages in a browser cannot ask at all: the Host must be loopback, and an Origin must be the server's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
from typing import TYPE_CHECKING

from aiohttp import web

from grader.errors import InfrastructureError
from labs.sandbox.api import discovery, openapi, protobuf, reading, requests, reviews, status, streams, table
from labs.sandbox.api.status import ApiError, bad_request
from labs.sandbox.api.watching import Watch
from labs.sandbox.api.writing import Writer
from labs.sandbox.controllers.system import KUBERNETES

if TYPE_CHECKING:
    import socket

    from grader.ports import Manifest
    from labs.sandbox.api.requests import Target
    from labs.sandbox.api.resources import Written
    from labs.sandbox.controllers.manager import Controllers
    from labs.sandbox.runtime import Runtime
    from labs.sandbox.store import Store

_log = logging.getLogger("netdojo.api")
_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HEALTH = frozenset({"/healthz", "/livez", "/readyz"})
_JSON = "application/json"
_MEDIA = ("application/json", "application/yaml", "application/*", "*/*", "application/vnd.kubernetes.protobuf")


class Api:
    """The Kubernetes API of one cluster.

    Args:
        store: the objects.
        controllers: settled after every write, so that what is answered is enforced.
        runtime: carries commands and logs.
        token: what every request must bring.
    """

    def __init__(self, store: Store, controllers: Controllers, runtime: Runtime, *, token: str) -> None:
        self._store = store
        self._controllers = controllers
        self._resources = controllers.resources
        self._runtime = runtime
        self._token = token.encode()
        self._runner: web.AppRunner | None = None

    async def serve(self, sock: socket.socket) -> None:
        """Answer on a socket that is bound to loopback already; returns when it does."""
        silent = logging.getLogger("netdojo.api.http")
        silent.setLevel(logging.CRITICAL + 1)  # any user of the machine may send what is no HTTP, and fill the disk
        server = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            max_line_size=65536,
            max_field_size=65536,
            logger=silent,
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.2)
        await runner.setup()
        await web.SockSite(runner, sock, backlog=128).start()
        self._runner = runner  # type: ignore[assignment]  # both runners end alike

    async def close(self) -> None:
        """Stop answering; watches and commands end."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request; whatever goes wrong is answered as Kubernetes would."""
        warnings: list[str] = []
        try:
            answer = await self._route(request, self._admit(request), warnings)
        except ApiError as error:
            answer = _json(error.status(), error.code)
        except web.HTTPRequestEntityTooLarge:
            answer = _json(_too_large().status(), 413)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except InfrastructureError as error:
            answer = _json(ApiError(500, "InternalError", error.message).status(), 500)
        except Exception:  # noqa: BLE001 - a defect of ours must not end the cluster; the log has it
            _log.exception("%s %s", request.method, request.path_qs)
            told = "Internal error occurred: the sandbox's log says more"
            answer = _json(ApiError(500, "InternalError", told).status(), 500)
        if not answer.prepared:
            for warning in warnings:
                answer.headers.add("Warning", f"299 - {json.dumps(warning, ensure_ascii=False)}")
        return answer

    def _admit(self, request: web.BaseRequest) -> str:
        """Refuse whoever has no business here; returns the path without the token.

        Raises:
            ApiError: 401 or 403.
        """
        host = request.headers.get("Host", "")
        name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
        if name not in _HOSTS:
            raise ApiError(403, "Forbidden", f'forbidden: this API answers to loopback names only, not to "{host}"')
        origin = request.headers.get("Origin")
        if origin is not None and origin.rpartition("//")[2] != host:
            raise ApiError(403, "Forbidden", "forbidden: pages from elsewhere may not ask this API")
        first, slash, rest = request.path[1:].partition("/")
        if hmac.compare_digest(first.encode(), self._token):
            return slash + rest or "/"
        if request.path in _HEALTH:
            return request.path
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        shown = given.strip().encode(errors="surrogateescape")
        if scheme.lower() != "bearer" or not hmac.compare_digest(shown, self._token):
            raise status.unauthorized()
        return request.path

    async def _route(self, request: web.BaseRequest, path: str, warnings: list[str]) -> web.StreamResponse:
        fixed = self._fixed(request, path)
        if fixed is not None:
            return fixed
        if path.startswith(("/apis/authorization.k8s.io/v1/", "/apis/authentication.k8s.io/v1/")):
            if request.method != "POST":
                raise status.not_allowed()
            plural = path.rsplit("/", 1)[-1]
            return _json(reviews.answer(plural, await self._object(request, reviews.TYPES.get(plural, ""))), 201)
        target = requests.target(path)
        if target is None:
            if path.startswith(("/api/", "/apis/")) and path.count("/") >= (2 if path.startswith("/api/") else 3):
                raise status.no_such_path()
            return web.Response(status=404, text="404 page not found\n")
        if target.kind.warning:
            warnings.append(target.kind.warning)
        if target.subresource:
            return await self._subresource(request, target, warnings)
        if request.method == "GET":
            return await self._read(request, target)
        answer = await self._write(request, target, warnings)
        await self._settle(warnings)
        return answer

    def _fixed(self, request: web.BaseRequest, path: str) -> web.Response | None:
        """What does not depend on objects."""
        path = path.rstrip("/") or "/"
        known = path in {"/version", "/api", "/apis", "/openapi/v2", "/openapi/v3"} or path in _HEALTH
        if known and request.method not in {"GET", "HEAD"}:
            raise status.not_allowed()
        if path in _HEALTH:
            return web.Response(text="ok")
        if path == "/version":
            return _json(_version())
        if path in {"/api", "/apis"}:
            return self._groups_at_once(request, path)
        parts = path.split("/")[1:]
        return self._openapi(parts) if parts[0] == "openapi" else self._groups(parts)

    @staticmethod
    def _groups_at_once(request: web.BaseRequest, path: str) -> web.Response:
        """Discovery in one answer, or its first step."""
        if discovery.aggregated(request.headers.get("Accept", "")):
            return _json(discovery.aggregated_list(core=path == "/api"), media=discovery.AGGREGATED)
        return _json(discovery.versions(request.headers["Host"]) if path == "/api" else discovery.group_list())

    @staticmethod
    def _openapi(parts: list[str]) -> web.Response:
        if parts == ["openapi", "v2"]:
            return web.Response(body=openapi.NO_SWAGGER, content_type=openapi.SWAGGER_MEDIA)
        if parts == ["openapi", "v3"]:
            return _json(openapi.index(), media="text/plain; charset=utf-8")
        group = parts[3] if len(parts) == 5 else ""
        document = openapi.document(group, parts[-1]) if parts[2:3] in (["api"], ["apis"]) else None
        if document is None:
            return web.Response(status=404)
        return web.Response(body=document, content_type=_JSON)

    @staticmethod
    def _groups(parts: list[str]) -> web.Response | None:
        """Discovery below /api and /apis."""
        if parts[0] == "apis" and len(parts) == 2:
            found = discovery.group(parts[1])
            return _json(found) if found else web.Response(status=404, text="404 page not found\n")
        if (parts[0] == "apis" and len(parts) == 3) or (parts[0] == "api" and len(parts) == 2):
            listed = discovery.resource_list(parts[1] if len(parts) == 3 else "", parts[-1])
            if listed is None:
                raise status.no_such_path()
            return _json(listed)
        return None

    async def _read(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        query, accept = request.query, request.headers.get("Accept", "")
        if accept and not any(offer.strip().startswith(_MEDIA) for offer in accept.split(",")):
            raise _not_acceptable()
        as_table = table.wanted(accept)
        if target.watch or query.get("watch") in {"true", "1"}:
            return await self._watch(request, target, as_table=as_table)
        include = query.get("includeObject", "Metadata")
        if target.name:
            found = self._resources.get(target.kind, target.namespace, target.name)
            if as_table:
                version = {"resourceVersion": found["metadata"]["resourceVersion"]}
                shown = table.table(target.kind, [found], version, include=include)
                return _json(shown)
            return _answer(found, accept)
        page = reading.page(self._store, target, query)
        if as_table:
            return _json(table.table(target.kind, page.items, page.metadata, include=include))
        items = [{k: v for k, v in item.items() if k not in {"apiVersion", "kind"}} for item in page.items]
        listed = {
            "kind": f"{target.kind.kind}List",
            "apiVersion": target.kind.api_version,
            "metadata": page.metadata,
            "items": items,
        }
        return _answer(listed, accept)

    async def _watch(self, request: web.BaseRequest, target: Target, *, as_table: bool) -> web.StreamResponse:
        watch = Watch(self._store, target, request.query, as_table=as_table)
        answer = web.StreamResponse(headers={"Content-Type": _JSON})
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):  # the client has gone
            async for line in watch.events():
                await answer.write(line)
        return answer

    async def _write(self, request: web.BaseRequest, target: Target, warnings: list[str]) -> web.StreamResponse:
        writer = Writer(self._resources, request.query, request.headers.get("User-Agent", ""))
        method, named, accept = request.method, bool(target.name), request.headers.get("Accept", "")
        verbs = {("POST", False): "create", ("PUT", True): "update", ("PATCH", True): "patch",
                 ("DELETE", True): "delete", ("DELETE", False): "deletecollection"}  # fmt: skip
        verb = verbs.get((method, named))
        if verb not in target.kind.verbs or (verb == "create" and not target.scoped):
            raise status.not_allowed()
        if verb == "create":
            written = writer.create(target, await self._body(request, target))
            return _written(written, warnings, accept, target)
        if verb == "update":
            written = writer.update(target, await self._body(request, target))
            return _written(written, warnings, accept, target)
        if verb == "patch":
            written = writer.patch(target, await _raw(request), request.headers.get("Content-Type", ""))
            return _written(written, warnings, accept, target)
        body = await self._object(request, "meta.v1.DeleteOptions")
        if verb == "delete":
            return _json(writer.delete(target, body))
        return _json(writer.delete_all(target, body))

    async def _subresource(self, request: web.BaseRequest, target: Target, warnings: list[str]) -> web.StreamResponse:
        kind, name, method = target.kind, target.subresource, request.method
        pod = kind.resource == "pods"
        if pod and name == "exec":
            return await streams.execute(request, self._resources, self._runtime, target)  # type: ignore[arg-type]
        if pod and name == "log":
            return await streams.logs(request, self._resources, self._runtime, target)  # type: ignore[arg-type]
        if pod and name in {"attach", "portforward"}:
            self._resources.get(kind, target.namespace, target.name)
            what = "kubectl attach" if name == "attach" else "kubectl port-forward"
            told = f"{what} is not there yet in netdojo's sandbox; kubectl exec is"
            raise ApiError(501, "NotImplemented", told)
        writer = Writer(self._resources, request.query, request.headers.get("User-Agent", ""))
        if pod and name in {"eviction", "binding"} and method == "POST":
            kinds_of = {"eviction": "policy.v1.Eviction", "binding": "core.v1.Binding"}
            answer: web.StreamResponse = self._pod_action(target, await self._object(request, kinds_of[name]))
        elif name == "finalize" and kind.resource == "namespaces" and method == "PUT":
            answer = self._finalize(target, await self._object(request, kind.type))
        elif (
            (name == "status" and kind.status)
            or (name == "scale" and kind.scale)
            or (pod and name == "ephemeralcontainers")
        ):
            answer = await self._part(request, target, writer, warnings)
        else:
            raise status.no_such_path()
        if method != "GET":
            await self._settle(warnings)
        return answer

    async def _part(
        self, request: web.BaseRequest, target: Target, writer: Writer, warnings: list[str]
    ) -> web.StreamResponse:
        """status, scale and ephemeralcontainers: read, replace, patch."""
        accept = request.headers.get("Accept", "")
        if request.method == "GET":
            if target.subresource == "scale":
                return _json(writer.scale(target))
            return _answer(self._resources.get(target.kind, target.namespace, target.name), accept)
        if request.method == "PUT":
            return _written(writer.update(target, await self._body(request, target)), warnings, accept, target)
        if request.method == "PATCH":
            written = writer.patch(target, await _raw(request), request.headers.get("Content-Type", ""))
            return _written(written, warnings, accept, target)
        raise status.not_allowed()

    def _pod_action(self, target: Target, body: Manifest) -> web.Response:
        pod = self._resources.get(target.kind, target.namespace, target.name)
        if target.subresource == "binding":
            node = (body.get("target") or {}).get("name")
            if not node:
                raise ApiError(500, "", "target.name: Required value")
            bound = {**pod, "spec": {**pod["spec"], "nodeName": str(node)}}
            self._store.put("pods", bound)
        else:
            from labs.sandbox.api import deletion

            deletion.delete(self._resources, target.kind, target.namespace, target.name)
        return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)

    def _finalize(self, target: Target, body: Manifest) -> web.Response:
        named = (body.get("metadata") or {}).get("name", target.name)
        if named != target.name:
            raise bad_request(f"the name of the object ({named}) does not match the name on the URL ({target.name})")
        return _json(self._resources.get(target.kind, "", target.name))

    async def _settle(self, warnings: list[str]) -> None:
        """What was written becomes true before it is answered; when the system refuses, the answer says so."""
        try:
            await self._controllers.settle()
        except InfrastructureError as error:
            warnings.append(f"not enforced: {error.message}")

    async def _body(self, request: web.BaseRequest, target: Target) -> Manifest:
        type_name = "autoscaling.v1.Scale" if target.subresource == "scale" else ""
        return requests.body(await _raw(request), request.headers.get("Content-Type", ""), target.kind, type_name)

    @staticmethod
    async def _object(request: web.BaseRequest, type_name: str) -> Manifest:
        """A body that is options or a review; nothing is an empty one."""
        raw = await _raw(request)
        if not raw.strip():
            return {}
        if request.content_type == protobuf.MEDIA:
            return protobuf.decode(raw, type_name)
        try:
            found = requests.parse_json(raw)
        except ValueError:
            found = requests.from_yaml(raw)
        return found if isinstance(found, dict) else {}


async def _raw(request: web.BaseRequest) -> bytes:
    """The body.

    Raises:
        ApiError: 413, it is too large.
    """
    if (request.content_length or 0) > requests.BODY_LIMIT:
        raise _too_large()
    parts = bytearray()
    async for chunk in request.content.iter_any():
        parts += chunk
        if len(parts) > requests.BODY_LIMIT:
            raise _too_large()
    return bytes(parts)


def _too_large() -> ApiError:
    told = f"Request entity too large: limit is {requests.BODY_LIMIT}"
    return ApiError(413, "RequestEntityTooLarge", told, {})


def _not_acceptable() -> ApiError:
    offers = (
        "application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, "
        "application/vnd.kubernetes.protobuf;stream=watch"
    )
    return ApiError(406, "NotAcceptable", f"406: Not Acceptable\n\nAvailable representations: {offers}", {})


def _written(written: Written, warnings: list[str], accept: str, target: Target) -> web.Response:
    for warning in written.warnings:
        if warning not in warnings and warning != target.kind.warning:
            warnings.append(warning)
    return _answer(written.object, accept, 201 if written.created else 200)


def _answer(body: Manifest, accept: str, code: int = 200) -> web.Response:
    """JSON, or YAML for those who ask for it first."""
    if accept.split(",", 1)[0].strip().startswith("application/yaml"):
        from labs.sandbox.api.yamlout import dump

        return web.Response(body=dump(body).encode(), status=code, headers={"Content-Type": "application/yaml"})
    return _json(body, code)


def _json(body: Manifest, code: int = 200, media: str = _JSON) -> web.Response:
    raw = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return web.Response(body=raw, status=code, headers={"Content-Type": media})


def _version() -> Manifest:
    major, minor = KUBERNETES.removeprefix("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": KUBERNETES,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }
