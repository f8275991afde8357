"""`netdojo reach synthesize` and `privilege`: forms, exit statuses, and that one is the other's answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tui.cli import run

if TYPE_CHECKING:
    from pathlib import Path

SHOP = """
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: dns, namespace: kube-system, labels: {k8s-app: kube-dns}}}
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    found = {}
    contents = {
        "shop.yaml": SHOP,
        "flows": "web -> db:5432\n",
        "bad": "web - db\n",
        "none.yaml": SHOP.partition("---")[0],
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
        found[name.partition(".")[0]] = str(tmp_path / name)
    return found


def reach(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["reach", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_what_is_synthesized_has_no_excess(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = reach(capsys, "synthesize", files["flows"], files["shop"], "--with-dns")
    assert (code, err) == (0, "5 policies: exactly the required traffic passes\n")
    made = tmp_path / "made.yaml"
    made.write_text(out)
    (tmp_path / "with-dns").write_text("web -> db:5432\nweb -> dns:53/udp, dns:53\n")
    arguments = ("privilege", "--required", str(tmp_path / "with-dns"), files["shop"], str(made))
    code, out, _ = reach(capsys, *arguments, "-o", "json", "--most", "0")
    document = json.loads(out)
    assert (code, document["excess"]["pairs"], document["missing"]["pairs"]) == (0, 0, 0)
    assert document["required"] == document["open"] == {"pairs": 2, "flows": 3}


def test_synthesized_json_is_a_list(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = reach(capsys, "synthesize", files["flows"], files["shop"], "-o", "json", "--leave", "kube-system")
    document = json.loads(out)
    assert (code, document["kind"]) == (0, "List")
    assert {item["metadata"]["namespace"] for item in document["items"]} == {"shop"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 0, "not required: kube-system/dns, shop/web, every outside address -> shop/db: every port but 5432/TCP"),
        (["--most", "3"], 1, "for example"),
        (["--most", "100000"], 0, "pairs by ports"),
        (["-o", "markdown"], 0, "| required | 1 | 1 |"),
    ],
)
def test_without_policies_all_else_is_excess(
    files: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    found, out, _ = reach(capsys, "privilege", "--required", files["flows"], files["shop"], *arguments)
    assert (found, words in out) == (code, True), out


def test_what_is_missing_fails(files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deny = tmp_path / "deny.yaml"
    deny.write_text(
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: d, namespace: shop}, "
        "spec: {podSelector: {}}}"
    )
    code, out, _ = reach(capsys, "privilege", "--required", files["flows"], files["shop"], str(deny))
    assert code == 1
    assert "- missing: shop/web -> shop/db: 5432/TCP" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["synthesize", "{bad}", "{shop}"], "bad:1: this is no arrow"),
        (["synthesize", "{shop}x", "{shop}"], "is not there"),
        (["privilege", "{shop}"], "--required"),
        (["privilege", "--required", "{bad}", "{shop}"], "bad:1"),
        (["synthesize", "{flows}", "{none}"], "flows:1: there is no pod, workload or Service db"),
    ],
)
def test_wrong_use(files: dict[str, str], capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    code, _, err = reach(capsys, *(argument.format(**files) for argument in arguments))
    assert code == 2
    assert words in err
