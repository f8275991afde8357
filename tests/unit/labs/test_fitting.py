"""Answers take from the cluster what only it knows, and leave out what is for others."""

from __future__ import annotations

from typing import Any

import pytest

from grader.errors import InfrastructureError
from labs.fitting import fit


def config(text: str, mark: str = "", **annotations: str) -> dict[str, Any]:
    given = annotations | ({"netdojo/calico": mark} if mark else {})
    metadata = {"name": "c"} | ({"annotations": given} if given else {})
    return {"kind": "ConfigMap", "metadata": metadata, "data": {"list": [text], "number": 1}}


INSTALLATION = {"kind": "Installation", "metadata": {"name": "default"}}
SLICE = {
    "kind": "EndpointSlice",
    "metadata": {
        "name": "kubernetes",
        "namespace": "default",
        "labels": {"kubernetes.io/service-name": "kubernetes"},
    },
    "endpoints": [{"addresses": ["172.18.0.4"]}],
    "ports": [{"port": 6443}],
}
OTHER = {**SLICE, "metadata": {**SLICE["metadata"], "namespace": "shop"}}


def test_the_api_server_is_filled_in_wherever_it_is_mentioned() -> None:
    (found,) = fit([config("https://$(API_SERVER_HOST):$(API_SERVER_PORT)/")], [OTHER, SLICE])
    assert found == config("https://172.18.0.4:6443/")


@pytest.mark.parametrize(
    ("mark", "snapshot", "kept"),
    [
        ("", [], True),
        ("", [INSTALLATION], True),
        ("operator", [INSTALLATION], True),
        ("operator", [], False),
        ("manifests", [INSTALLATION], False),
        ("manifests", [], True),
    ],
)
def test_objects_for_another_way_of_installing_are_left_out(mark: str, snapshot: list[Any], *, kept: bool) -> None:
    assert fit([config("x", mark)], snapshot) == ([config("x")] if kept else [])


def test_other_annotations_stay() -> None:
    assert fit([config("x", "manifests", team="bank")], []) == [config("x", team="bank")]


def test_a_cluster_that_does_not_tell_is_no_wrong_answer() -> None:
    with pytest.raises(InfrastructureError, match="does not tell where its API server is"):
        fit([config("$(API_SERVER_HOST)")], [OTHER])


def test_an_answer_without_placeholders_needs_nothing_of_the_cluster() -> None:
    assert fit([config("plain")], []) == [config("plain")]
