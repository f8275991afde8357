"""What a command in a pod sees of the host: programs and /etc, and nothing that is somebody's."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labs.sandbox.workloads import enter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.netns


@pytest.fixture
def secret() -> Iterator[Path]:
    """A folder of the host below /var with a file and a socket, as services have them."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        folder = Path(made)
        (folder / "token").write_text("secret", encoding="ascii")
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(folder / "door"))
            door.listen()
            yield folder


def test_other_folders_of_the_host_are_not_seen(
    isolated: Callable[..., Any], pair: Callable[..., Any], secret: Path
) -> None:
    async def scenario() -> tuple[int, str, str]:
        run: tuple[int, str, str] = await pair().run("sh", "-c", f"ls {secret}/token {secret}/door; ls -A /var /srv")
        return run

    _, out, err = isolated(scenario)
    assert out == "/srv:\n\n/var:\nrun\ntmp\n"
    assert err.count("No such file or directory") == 2


def test_every_way_to_a_covered_interpreter_is_kept(tmp_path: Path, isolate: Callable[..., Any]) -> None:
    """An interpreter is often a link below a home: both the link and what it means stay."""
    real = tmp_path / "python-3.11.9"
    real.mkdir()
    (real / "here").touch()
    link = tmp_path / "python-3.11"
    link.symlink_to(real)

    def scenario() -> list[str]:
        enter.mount("", "/", "", enter.MS_REC | enter.MS_PRIVATE)
        enter.cover([str(link), str(real)])
        return [str(path) for path in (link / "here", real / "here") if path.exists()]

    assert isolate(scenario) == [str(link / "here"), str(real / "here")]


@pytest.mark.parametrize("argv", [["sh", "-c", "a\0b"], [""]])
def test_words_that_no_system_takes(isolate: Callable[..., Any], pair: Callable[..., Any], argv: list[str]) -> None:
    async def scenario() -> tuple[int, str, str]:
        run: tuple[int, str, str] = await pair().run(*argv)
        return run

    code, out, err = isolate(scenario)
    assert (code, out) == (126, "")
    assert err.endswith(": invalid argument\n")
    assert "Traceback" not in err
