"""Kind clusters that are kept for the next lab are shown, and removed when somebody says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from labs import store
from labs.kind import state
from tui.cli import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pool(home: Path) -> state.Pool:
    del home
    made = state.Pool(store.folders().state / state.FOLDER)
    made.write(state.Record("netdojo-0a1b2c3d-1", "0a1b2c3d", "2 nodes, ipv4, iptables", state.Stage.FREE))
    made.write(state.Record("netdojo-0a1b2c3d-2", "0a1b2c3d", "2 nodes, ipv4, iptables", state.Stage.TAKEN, lab="x"))
    return made


def test_status_names_them(pool: state.Pool) -> None:
    del pool
    shown = CliRunner().invoke(cli, ["lab", "status"])
    assert shown.output.splitlines() == [
        "no lab is running",
        "kept for the next lab: netdojo-0a1b2c3d-1 (2 nodes, ipv4, iptables) on kind",
    ]


def test_stop_all_delete_removes_them(pool: state.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    from labs.kind.backend import KindBackend

    async def end(self: KindBackend, tell: object) -> tuple[str, ...]:
        del self, tell
        names = tuple(record.name for record in state.kept())
        for name in names:
            pool.forget(name)
        return names

    monkeypatch.setattr(KindBackend, "end_kept", end)
    assert "removed" not in CliRunner().invoke(cli, ["lab", "stop", "--all"]).output
    assert CliRunner().invoke(cli, ["lab", "stop", "--all", "--delete"]).output == "netdojo-0a1b2c3d-1 removed\n"
    assert [record.name for record in pool.records()] == ["netdojo-0a1b2c3d-2"]
