"""The `kubernetes` client's transport: against the sandbox's real API server, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import ClusterGoneError, InfrastructureError
from labs.kube import channels, client
from labs.kube.api import Refused
from labs.kube.client import connect
from labs.kube.resources import resource_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.kube.api import Resource
    from labs.kube.client import KubernetesApi

POD = {"apiVersion": "v1", "kind": "Pod"}


def pod(name: str, image: str = "nginx") -> dict[str, Any]:
    return {**POD, "metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": image}]}}


async def kind(api: KubernetesApi, item: dict[str, Any] = POD) -> Resource:
    found = resource_of(item, await api.resources())
    assert found is not None
    return found


@pytest.fixture
def api(kube_api: Any) -> KubernetesApi:
    return connect(kube_api.kubeconfig)


@pytest.mark.kubectl
async def test_objects_are_applied_listed_read_and_deleted_as_they_are(api: KubernetesApi) -> None:
    pods = await kind(api)
    made = await api.apply(pods, "default", pod("one"))
    again = await api.apply(pods, "default", pod("one"))
    assert made["metadata"]["uid"] == again["metadata"]["uid"]
    assert await api.get(pods, "default", "one") is not None
    listed = await api.list(pods, "default")
    assert [(item["apiVersion"], item["kind"], item["metadata"]["name"]) for item in listed.items] == [
        ("v1", "Pod", "one")
    ]
    assert await api.delete(pods, "default", "one", grace=0)
    assert not await api.delete(pods, "default", "none")
    assert await api.get(pods, "default", "none") is None


@pytest.mark.kubectl
async def test_a_refusal_carries_the_apis_words(api: KubernetesApi) -> None:
    pods = await kind(api)
    with pytest.raises(Refused, match="Invalid value") as refused:
        await api.apply(pods, "default", pod("Bad_Name"))
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")


@pytest.mark.kubectl
async def test_a_watch_tells_of_changes_after_its_list(api: KubernetesApi) -> None:
    pods = await kind(api)
    since = (await api.list(pods)).resource_version
    told = asyncio.to_thread(lambda: next(c for c in api.watch(pods, since) if c.object["metadata"]["name"] == "two"))
    watching = asyncio.ensure_future(told)
    await api.apply(pods, "default", pod("two"))
    change = await asyncio.wait_for(watching, 10)
    assert change.type == "ADDED"
    await api.delete(pods, "default", "two", grace=0)


@pytest.mark.kubectl
async def test_commands_have_both_streams_input_and_their_status(api: KubernetesApi) -> None:
    pods = await kind(api)
    await api.apply(pods, "default", pod("three"))
    echoed = await api.exec("default/three", ["cat"], b"in\n", 10)
    assert (echoed.code, echoed.stdout, echoed.stderr) == (0, b"in\n", b"")
    warned = await api.exec("default/three", ["warn", "words"], b"", 10)
    assert (warned.code, warned.stderr) == (0, b"words\n")
    assert (await api.exec("default/three", ["exit", "7"], b"", 10)).code == 7
    with pytest.raises(Refused, match="not found"):
        await api.exec("default/nobody", ["cat"], b"", 10)
    await api.delete(pods, "default", "three", grace=0)


class Answers(ThreadingHTTPServer):
    """Gives prepared answers: those of a path, or one after the other, and the last one for ever."""

    daemon_threads = True

    def __init__(self, *answers: tuple[int, bytes, dict[str, str]]) -> None:
        self.answers = list(answers)
        self.by_path: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answers = self.server.answers
        code, body, headers = self.server.by_path.get(self.path) or (answers.pop(0) if answers[1:] else answers[0])
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(folder: Path, *answers: tuple[int, bytes, dict[str, str]]) -> Iterator[tuple[KubernetesApi, Answers]]:
    server = Answers(*answers)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield connect(kubeconfig(folder, server.server_address[1])), server
    finally:
        server.shutdown()
        server.server_close()


def kubeconfig(folder: Path, port: int) -> Path:
    file = folder / "kubeconfig"
    file.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "x",
                "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "x", "user": {"token": "secret"}}],
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            }
        )
    )
    return file


def status(code: int, reason: str, message: str) -> tuple[int, bytes, dict[str, str]]:
    body = {"kind": "Status", "reason": reason, "message": message, "code": code}
    return code, json.dumps(body).encode(), {"Retry-After": "0"}


def page(*names: str, more: str = "") -> tuple[int, bytes, dict[str, str]]:
    items = [{"metadata": {"name": name}} for name in names]
    return 200, json.dumps({"metadata": {"resourceVersion": "7", "continue": more}, "items": items}).encode(), {}


PODS = client.Resource("", "v1", "pods", "Pod", namespaced=True)


def discovery(freshness: str, named: str = "projectcalico.org") -> tuple[int, bytes, dict[str, str]]:
    tiers = {"resource": "tiers", "responseKind": {"kind": "Tier"}, "scope": "Cluster", "verbs": ["list"]}
    version = {"version": "v3", "resources": [tiers], "freshness": freshness}
    group = {"metadata": {"name": named}, "versions": [version]}
    return 200, json.dumps({"items": [group]}).encode(), {}


STALE, DOWN = discovery("Stale"), (503, b"service unavailable", {})


def kinds_of_calico() -> tuple[int, bytes, dict[str, str]]:
    entries = [
        {"name": "tiers", "kind": "Tier", "namespaced": False, "verbs": ["list"]},
        {"name": "networkpolicies", "kind": "NetworkPolicy", "namespaced": True, "verbs": ["list", "watch"]},
        {"name": "networkpolicies/status", "kind": "NetworkPolicy", "namespaced": True, "verbs": ["get"]},
    ]
    return 200, json.dumps({"groupVersion": "projectcalico.org/v3", "resources": entries}).encode(), {}


async def test_a_server_that_could_not_be_asked_is_asked_itself(tmp_path: Path) -> None:
    empty = (200, b'{"items": []}', {})
    with serving(tmp_path, empty) as (api, server):
        server.by_path = {"/api": empty, "/apis": STALE, "/apis/projectcalico.org/v3": kinds_of_calico()}
        found = {str(each): each for each in await api.resources()}
        assert await api.silent() == frozenset()
        await api.resources()
    assert sorted(server.asked) == ["/api", "/apis", "/apis/projectcalico.org/v3"]
    assert found.keys() == {"tiers.projectcalico.org", "networkpolicies.projectcalico.org"}
    policies = found["networkpolicies.projectcalico.org"]
    assert (policies.version, policies.namespaced, policies.verbs) == ("v3", True, {"list", "watch"})


async def test_kinds_are_asked_for_again_while_a_server_of_theirs_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = (200, b'{"items": []}', {})
    with serving(tmp_path, empty) as (api, server):
        server.by_path = {"/api": empty, "/apis": STALE, "/apis/projectcalico.org/v3": DOWN}
        assert await api.resources() == await api.resources() == ()
        assert await api.silent() == {"projectcalico.org/v3"}
        assert len(server.asked) == 3  # not at once: it may never answer
        monkeypatch.setattr(client, "_HOLES_SECONDS", -1.0)
        assert await api.resources(again=True) == ()
        server.by_path["/apis"] = discovery("Current")
        assert {str(each) for each in await api.resources()} == {"tiers.projectcalico.org"}
        await api.resources()
        assert await api.silent() == frozenset()
    assert len(server.asked) == 8


@pytest.mark.parametrize("answer", [DOWN, (200, b"{", {}), (200, b"{}", {"Content-Length": "9"})])
async def test_a_server_that_breaks_off_is_silent(tmp_path: Path, answer: Any) -> None:
    empty = (200, b'{"items": []}', {})
    with serving(tmp_path, empty) as (api, server):
        server.by_path = {"/api": empty, "/apis": STALE, "/apis/projectcalico.org/v3": answer}
        assert await api.resources() == ()
        assert await api.silent() == await api.stale() == {"projectcalico.org/v3"}


async def test_nobody_waits_for_a_dead_server_whose_kinds_decide_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = (200, b'{"items": []}', {})
    monkeypatch.setattr(client, "_HOLES_SECONDS", -1.0)
    with serving(tmp_path, empty) as (api, server):
        server.by_path = {"/api": empty, "/apis": discovery("Stale", "metrics.k8s.io")}
        assert await api.resources() == await api.resources() == ()
        assert await api.silent() == {"metrics.k8s.io/v3"}
    assert sorted(server.asked) == ["/api", "/apis"]


async def test_many_that_ask_at_once_ask_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = (200, b'{"items": []}', {})
    with serving(tmp_path, empty) as (api, server):
        server.by_path = {"/api": empty, "/apis": STALE, "/apis/projectcalico.org/v3": DOWN}
        monkeypatch.setattr(client, "_HOLES_SECONDS", 0.0)
        await api.resources()
        monkeypatch.setattr(client, "_HOLES_SECONDS", 60.0)
        await asyncio.gather(*(api.resources() for _ in range(12)))
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("code", "error"),
    [(403, Refused), (410, Refused), *((code, InfrastructureError) for code in (429, 500, 503))],
)
async def test_a_watch_that_is_refused_says_so(tmp_path: Path, code: int, error: type[Exception]) -> None:
    """It would pass for one that ended, or for one without changes."""
    _, body, headers = status(code, "No", "not now")
    with serving(tmp_path, (code, body + b"\n", headers)) as (api, _), pytest.raises(error, match="not now"):
        await asyncio.to_thread(list, api.watch(PODS, "1"))


async def test_a_list_goes_from_page_to_page(tmp_path: Path) -> None:
    with serving(tmp_path, page("a", "b", more="next"), page("c")) as (api, server):
        listed = await api.list(PODS)
    assert [item["metadata"]["name"] for item in listed.items] == ["a", "b", "c"]
    assert "continue=next" in server.asked[1]


@pytest.mark.parametrize("code", [429, 503, 504])
async def test_an_api_that_says_later_is_asked_again(tmp_path: Path, code: int) -> None:
    with serving(tmp_path, status(code, "Later", "too busy"), page("a")) as (api, server):
        assert len((await api.list(PODS)).items) == 1
    assert len(server.asked) == 2


async def test_an_api_that_says_later_for_ever_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_PATIENCE_SECONDS", 0.0)
    with (
        serving(tmp_path, status(429, "TooManyRequests", "too busy")) as (api, _),
        pytest.raises(InfrastructureError, match=r"does not work now \(429\): too busy"),
    ):
        await api.list(PODS)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (status(401, "Unauthorized", "Unauthorized"), "does not accept the kubeconfig's credentials"),
        (status(500, "InternalError", "etcd is gone"), r"does not work now \(500\): etcd is gone"),
        ((502, b"<html>bad gateway</html>", {}), r"does not work now \(502\): <html>bad gateway"),
        ((200, b'{"items": [', {}), "no JSON object"),
        ((200, b'{"items"', {"Content-Length": "100"}), "does not answer"),
    ],
    ids=["token", "500", "a proxy's page", "half an answer", "cut off"],
)
async def test_what_is_no_answer_is_never_taken_for_one(tmp_path: Path, answer: Any, words: str) -> None:
    with serving(tmp_path, answer) as (api, _), pytest.raises(InfrastructureError, match=words) as error:
        await api.list(PODS)
    assert error.value.remedy


async def test_a_refused_right_is_the_apis_no(tmp_path: Path) -> None:
    with (
        serving(tmp_path, status(403, "Forbidden", "pods is forbidden")) as (api, _),
        pytest.raises(Refused, match="pods is forbidden"),
    ):
        await api.list(PODS)


async def test_a_field_that_the_schema_does_not_have_is_a_refusal_whatever_its_status(tmp_path: Path) -> None:
    words = "failed to create typed patch object (shop/x): .spec.typo: field not declared in schema"
    with serving(tmp_path, status(500, "", words)) as (api, _), pytest.raises(Refused, match="typo") as refused:
        await api.list(PODS)
    assert refused.value.code == 422


async def test_nobody_there(tmp_path: Path) -> None:
    with serving(tmp_path, page("a")) as (api, _):
        pass
    with pytest.raises(ClusterGoneError, match="does not answer"):
        await api.list(PODS)
    with pytest.raises(ClusterGoneError):
        await api.exec("a/b", ["true"], b"", 1)
    with pytest.raises(ClusterGoneError):
        next(api.watch(PODS, "1"))


async def test_somebody_there_who_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(client, "_WATCH_SECONDS", 0.1)
    monkeypatch.setattr(channels, "_OPEN_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = connect(kubeconfig(tmp_path, silent.getsockname()[1]))
        with pytest.raises(ClusterGoneError, match="does not answer"):
            await api.list(PODS)
        with pytest.raises(ClusterGoneError):
            await api.exec("a/b", ["true"], b"", 1)
        with pytest.raises(ClusterGoneError):
            next(api.watch(PODS, "1"))


async def test_a_watch_whose_place_is_forgotten_says_so(tmp_path: Path) -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    with (
        serving(tmp_path, (200, json.dumps(gone).encode() + b"\n", {})) as (api, _),
        pytest.raises(Refused, match="too old") as refused,
    ):
        await asyncio.to_thread(lambda: next(api.watch(PODS, "1")))
    assert refused.value.code == 410


@pytest.mark.parametrize("text", ["", "nonsense", "{}", "- a\n- b\n", "apiVersion: v1\nkind: Config\n"])
def test_a_kubeconfig_that_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(InfrastructureError, match=r"the kubeconfig .* cannot be used"):
        connect(file)
    with pytest.raises(InfrastructureError, match=r"the kubeconfig .* cannot be used"):
        connect(tmp_path / "none")


def test_a_context_that_is_not_in_it(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="context other"):
        connect(kubeconfig(tmp_path, 1), "other")
