"""Requests that mean harm: what they may cost, and what they may leave behind."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any

import pytest

from labs.sandbox.api import patch
from labs.sandbox.api.server import Api
from labs.sandbox.api.status import ApiError

if TYPE_CHECKING:
    from pathlib import Path

RAW = [
    (b"GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \xff\xfe\r\n\r\n", b"401"),
    (b"GET /%ff%fe/version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"401"),
    (b"GET /version?\xd9\xa4 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"400"),
    (b"no http at all\r\n\r\n", b"400"),
]


async def test_who_has_no_token_writes_nothing_to_the_log(cluster: Any, tmp_path: Path) -> None:
    """Every user of the machine can reach the port; the log is the owner's disk."""
    kept = logging.FileHandler(tmp_path / "log")
    logging.getLogger().addHandler(kept)
    sock = socket.create_server(("127.0.0.1", 0))
    api = Api(cluster.store, cluster.controllers, cluster.runtime, token="secret")  # noqa: S106 - it opens nothing
    await api.serve(sock)
    try:
        for request, code in RAW:
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(request)
            assert (await reader.readline()).split()[1] == code
            writer.close()
    finally:
        await api.close()
        logging.getLogger().removeHandler(kept)
        kept.close()
    assert (tmp_path / "log").read_text(encoding="utf-8") == ""


def test_copies_of_copies_are_stopped() -> None:
    target = {"metadata": {"annotations": {"a": "b"}}}
    place = "/metadata/annotations"
    doubling = [{"op": "copy", "from": place, "path": f"{place}/x{number}"} for number in range(64)]
    with pytest.raises(ApiError, match="accumulated size increase of copy") as raised:
        patch.json_patch(target, doubling)
    assert raised.value.code == 422
    assert target == {"metadata": {"annotations": {"a": "b"}}}


def test_a_copy_that_is_none() -> None:
    for operation in ({"op": "copy", "path": "/a"}, {"op": "copy", "from": 1, "path": "/a"}, {"op": "copy"}):
        with pytest.raises(ApiError):
            patch.json_patch({"a": 1}, [operation])
