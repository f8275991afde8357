"""The HTTP server: who may ask, what is refused, watches, streams."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio

from labs.sandbox.api.server import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "a-token-of-this-test"  # noqa: S105 - it opens nothing
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
CONFIGS = "/api/v1/namespaces/shop/configmaps"
PODS = "/api/v1/namespaces/shop/pods"


@dataclass
class Client:
    session: aiohttp.ClientSession
    url: str
    cluster: Any

    async def ask(
        self, method: str, path: str, body: Any = None, status: int = 200, **headers: str
    ) -> tuple[Any, aiohttp.ClientResponse]:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        sent |= {key.replace("_", "-"): value for key, value in headers.items()}
        async with self.session.request(method, self.url + path, data=data, headers=sent) as answer:
            raw = await answer.read()
            assert answer.status == status, raw
            is_json = answer.content_type == "application/json"
            return (json.loads(raw) if is_json else raw.decode()), answer


@pytest_asyncio.fixture
async def client(cluster: Any) -> AsyncIterator[Client]:
    sock = socket.create_server(("127.0.0.1", 0))
    api = Api(cluster.store, cluster.controllers, cluster.runtime, token=TOKEN)
    await api.serve(sock)
    async with aiohttp.ClientSession() as session:
        yield Client(session, f"http://127.0.0.1:{sock.getsockname()[1]}", cluster)
    await api.close()


async def test_nothing_but_health_is_answered_without_the_token(client: Client) -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await client.ask("GET", path, Authorization=""))[0] == "ok"
    for path in ("/version", "/api", "/api/v1/pods", "/openapi/v3", "/nope"):
        for wrong in ("", "Bearer wrong", f"Basic {TOKEN}", "Bearer"):
            body, _ = await client.ask("GET", path, status=401, Authorization=wrong)
            assert (body["kind"], body["reason"], body["code"]) == ("Status", "Unauthorized", 401)


async def test_the_token_may_lead_the_path(client: Client) -> None:
    assert (await client.ask("GET", f"/{TOKEN}/api/v1/pods", Authorization=""))[0]["kind"] == "PodList"
    await client.ask("GET", f"/{TOKEN}x/api/v1/pods", status=401, Authorization="")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example.com"},
        {"Host": "127.0.0.1.example.com:80"},
        {"Origin": "http://evil.example.com"},
        {"Origin": "null"},
    ],
)
async def test_pages_from_elsewhere_cannot_ask(client: Client, headers: dict[str, str]) -> None:
    body, _ = await client.ask("GET", "/api/v1/pods", status=403, **headers)
    assert body["reason"] == "Forbidden"


async def test_bodies_have_limits(client: Client) -> None:
    body, _ = await client.ask("POST", CONFIGS, b" " * (3 * 1024 * 1024 + 1), status=413)
    assert body["message"] == "Request entity too large: limit is 3145728"
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    body, _ = await client.ask("POST", CONFIGS, deep, status=400)
    assert "max depth" in body["message"]
    bomb = b"a: &a [x, x, x]\nb: &b [*a, *a, *a, *a]\n" + b"".join(
        b"%c: &%c [*%c, *%c, *%c, *%c, *%c]\n" % (n, n, n - 1, n - 1, n - 1, n - 1, n - 1) for n in range(99, 122)
    )
    await client.ask("POST", CONFIGS, bomb, status=400, Content_Type="application/yaml")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404), ("GET", "/apis/nope", 404), ("GET", "/apis/apps/v9", 404), ("GET", "/api/v2", 404),
        ("GET", "/api/v1/namespaces/shop/configmapz", 404), ("GET", "/api/v1/pods/x", 404), ("POST", "/api", 405),
        ("PUT", CONFIGS, 405), ("POST", f"{CONFIGS}/c", 405), ("DELETE", "/api/v1/namespaces", 405),
        ("POST", "/api/v1/configmaps", 405), ("GET", f"{CONFIGS}/c/status", 404), ("GET", f"{CONFIGS}/a/b/c", 404),
        ("GET", "/openapi/v3/apis/nope/v1", 404), ("GET", "/openapi", 404), ("GET", "//", 404),
    ],
)  # fmt: skip
async def test_paths_and_methods_that_are_not_there(client: Client, method: str, path: str, status: int) -> None:
    await client.ask(method, path, {} if method != "GET" else None, status=status)


async def test_create_read_replace_patch_delete(client: Client) -> None:
    made, _ = await client.ask("POST", CONFIGS, CONFIG, status=201)
    await client.ask("POST", CONFIGS, CONFIG, status=409)
    assert (await client.ask("GET", f"{CONFIGS}/c"))[0] == made
    replaced, _ = await client.ask("PUT", f"{CONFIGS}/c", {**made, "data": {"b": "2"}})
    assert replaced["data"] == {"b": "2"}
    await client.ask("PUT", f"{CONFIGS}/c", {**made, "data": {"c": "3"}}, status=409)
    for media, patch in (
        ("application/merge-patch+json", {"data": {"b": None, "x": "1"}}),
        ("application/json-patch+json", [{"op": "add", "path": "/data/y", "value": "2"}]),
        ("application/strategic-merge-patch+json", {"data": {"z": "3"}}),
    ):
        patched, _ = await client.ask("PATCH", f"{CONFIGS}/c", patch, Content_Type=media)
    assert patched["data"] == {"x": "1", "y": "2", "z": "3"}
    await client.ask("PATCH", f"{CONFIGS}/c", {}, status=415)
    done, _ = await client.ask("DELETE", f"{CONFIGS}/c")
    assert (done["status"], done["details"]["name"]) == ("Success", "c")
    await client.ask("DELETE", f"{CONFIGS}/c", status=404)


async def test_what_is_answered_is_enforced(client: Client) -> None:
    policy = {"metadata": {"name": "np"}, "spec": {"podSelector": {}}}
    path = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies"
    await client.ask("POST", path, policy, status=201)
    assert any(item["kind"] == "NetworkPolicy" for item in client.cluster.runtime.programs[-1])


async def test_a_list_comes_in_pages(client: Client) -> None:
    for name in "abc":
        await client.ask("POST", CONFIGS, {**CONFIG, "metadata": {"name": name, "labels": {"p": "1"}}}, status=201)
    first, _ = await client.ask("GET", f"{CONFIGS}?limit=2&labelSelector=p=1")
    rest, _ = await client.ask("GET", f"{CONFIGS}?limit=2&labelSelector=p=1&continue={first['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in (*first["items"], *rest["items"])] == ["a", "b", "c"]
    assert "continue" not in rest["metadata"]
    await client.ask("GET", f"{CONFIGS}?limit=2&continue=bogus", status=400)


async def test_tables(client: Client) -> None:
    await client.ask("POST", CONFIGS, CONFIG, status=201)
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    table, _ = await client.ask("GET", CONFIGS, Accept=accept)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert [row["cells"][:2] for row in table["rows"]] == [["c", 1], ["kube-root-ca.crt", 1]]


async def watch(client: Client, query: str, count: int) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with client.session.get(f"{client.url}{CONFIGS}?watch=true&{query}", headers=headers) as answer:
        async for line in answer.content:
            events.append(json.loads(line))
            if len(events) == count:
                break
    return events


async def test_a_watch_begins_with_what_is_there_says_so_and_goes_on(client: Client) -> None:
    await client.ask("POST", CONFIGS, {**CONFIG, "metadata": {"name": "c", "labels": {"t": "1"}}}, status=201)
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=t=1"
    task = asyncio.create_task(watch(client, query, 4))
    async with asyncio.timeout(5):
        while not client.cluster.store._subscribers[1:]:  # noqa: ASYNC110 - the store tells nobody of its subscribers
            await asyncio.sleep(0.01)
    patch = {"data": {"a": "2"}}
    await client.ask("PATCH", f"{CONFIGS}/c", patch, Content_Type="application/merge-patch+json")
    gone = {"metadata": {"labels": {"t": "2"}}}
    await client.ask("PATCH", f"{CONFIGS}/c", gone, Content_Type="application/merge-patch+json")
    events = await asyncio.wait_for(task, 5)
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK", "MODIFIED", "DELETED"]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_from_a_version_brings_what_came_after_and_410_when_that_is_forgotten(client: Client) -> None:
    made, _ = await client.ask("POST", CONFIGS, CONFIG, status=201)
    for number in range(3):
        patch = {"data": {"a": f"n{number}"}}
        await client.ask("PATCH", f"{CONFIGS}/c", patch, Content_Type="application/merge-patch+json")
    version = made["metadata"]["resourceVersion"]
    events = await asyncio.wait_for(watch(client, f"resourceVersion={version}", 3), 5)
    assert [event["object"]["data"]["a"] for event in events] == ["n0", "n1", "n2"]
    client.cluster.store._history.popleft()
    body, _ = await client.ask("GET", f"{CONFIGS}?watch=true&resourceVersion=1", status=410)
    assert body["reason"] == "Expired"


async def test_a_watch_ends_when_its_time_is_over_and_leaves_nothing(client: Client) -> None:
    before = len(client.cluster.store._subscribers)
    events = await asyncio.wait_for(watch(client, "timeoutSeconds=1", 99), 10)
    assert [event["object"]["metadata"]["name"] for event in events] == ["kube-root-ca.crt"]
    assert len(client.cluster.store._subscribers) == before


async def run(client: Client, *argv: str, stdin: bytes | None = None) -> tuple[dict[int, bytes], dict[str, Any]]:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    if client.cluster.store.get("pods", "shop", "p") is None:
        await client.ask("POST", PODS, pod, status=201)
    query = "&".join(f"command={word}" for word in argv) + "&stdout=true&stderr=true"
    query += "&stdin=true" if stdin is not None else ""
    got: dict[int, bytes] = {}
    async with client.session.ws_connect(
        f"{client.url}{PODS}/p/exec?{query}",
        protocols=("v5.channel.k8s.io",),
        headers={"Authorization": f"Bearer {TOKEN}"},
    ) as ws:
        if stdin is not None:
            await ws.send_bytes(b"\x00" + stdin)
            await ws.send_bytes(b"\xff\x00")
        async for message in ws:
            got[message.data[0]] = got.get(message.data[0], b"") + message.data[1:]
    return got, json.loads(got[3])


@pytest.mark.parametrize(
    ("argv", "stdin", "channel", "text"),
    [
        (("echo", "hello"), None, 1, b"hello\n"),
        (("warn", "oh"), None, 2, b"oh\n"),
        (("hostname",), None, 1, b"p\n"),
        (("cat",), b"through", 1, b"through"),
    ],
)
async def test_commands_in_pods(
    client: Client, argv: tuple[str, ...], stdin: bytes | None, channel: int, text: bytes
) -> None:
    got, end = await asyncio.wait_for(run(client, *argv, stdin=stdin), 5)
    assert got[channel] == text
    assert end["status"] == "Success"


async def test_exit_statuses_and_what_cannot_run_are_told_at_the_end(client: Client) -> None:
    _, end = await asyncio.wait_for(run(client, "exit", "7"), 5)
    assert (end["reason"], end["details"]["causes"][0]["message"]) == ("NonZeroExitCode", "7")
    _, end = await asyncio.wait_for(run(client, "impossible"), 5)
    assert end["message"] == "no command runs here; run it elsewhere"


async def test_a_command_starts_when_its_client_listens(client: Client) -> None:
    """kubectl before 1.34 drops what comes before it has made its streams: no byte before it has answered pings."""
    await asyncio.wait_for(run(client, "hostname"), 5)
    async with client.session.ws_connect(
        f"{client.url}{PODS}/p/exec?command=cat&stdout=true&stdin=true",
        protocols=("v5.channel.k8s.io",),
        headers={"Authorization": f"Bearer {TOKEN}"},
        autoping=False,
    ) as ws:
        await ws.send_bytes(b"\x00sent early")
        for _ in range(2):
            assert (await ws.receive(5)).type is aiohttp.WSMsgType.PING
            await ws.pong()
        assert (await ws.receive(5)).data == b"\x01sent early"
        await ws.ping(b"and ours")
        assert (await ws.receive(5)).data == b"and ours"


async def test_logs(client: Client) -> None:
    await asyncio.wait_for(run(client, "hostname"), 5)
    client.cluster.runtime.lines["p/main"] = ["2026-11-24T10:00:00Z one", "2026-11-24T10:00:01Z two"]
    assert (await client.ask("GET", f"{PODS}/p/log"))[0] == "one\ntwo\n"
    assert (await client.ask("GET", f"{PODS}/p/log?tailLines=1"))[0] == "two\n"
    assert "10:00:01Z two" in (await client.ask("GET", f"{PODS}/p/log?timestamps=true"))[0]
    await client.ask("GET", f"{PODS}/p/log?container=zz", status=400)
    await client.ask("GET", f"{PODS}/zz/log", status=404)


@pytest.mark.parametrize("name", ["portforward", "attach"])
async def test_what_is_not_there_yet_says_so(client: Client, name: str) -> None:
    await asyncio.wait_for(run(client, "hostname"), 5)
    body, _ = await client.ask("POST", f"{PODS}/p/{name}", {}, status=501)
    assert "not there yet" in body["message"]


async def test_server_side_apply_and_its_conflicts(client: Client) -> None:
    media = "application/apply-patch+yaml"
    path = f"{CONFIGS}/c?fieldManager="
    body = {**CONFIG, "data": {"a": "1", "b": "1"}}
    await client.ask("PATCH", f"{path}one", body, status=201, Content_Type=media)
    refused, _ = await client.ask("PATCH", f"{path}two", {**CONFIG, "data": {"a": "9"}}, 409, Content_Type=media)
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    forced, _ = await client.ask("PATCH", f"{path}two&force=true", {**CONFIG, "data": {"a": "9"}}, Content_Type=media)
    assert forced["data"] == {"a": "9", "b": "1"}
    dropped, _ = await client.ask("PATCH", f"{path}one", {**CONFIG, "data": {"c": "1"}}, Content_Type=media)
    assert dropped["data"] == {"a": "9", "c": "1"}


async def test_a_defect_of_ours_is_an_answer_and_not_the_end(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("defect")

    monkeypatch.setattr(client.cluster.store, "list", broken)
    body, _ = await client.ask("GET", CONFIGS, status=500)
    assert body["reason"] == "InternalError"
    monkeypatch.undo()
    await client.ask("GET", CONFIGS)
