"""No package loads what it may not: asked of a fresh interpreter, by what is in `sys.modules` afterwards."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    *("textual", "rich", "pyte", "aiohttp", "pyroute2", "dnslib"),
    *("docker", "kubernetes", "pydantic", "yaml", "click"),
)


def loaded(code: str) -> set[str]:
    """The heavy packages that this code leaves in `sys.modules`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout.splitlines()[-1]))


CONTENT = "import content.load, content.validate, content.arrows, content.schema"
GRADER = "import grader.grade, grader.simulate, grader.reachability.world"
LABS = "import labs.session, labs.registry, labs.author, labs.doctor; labs.registry.load('sandbox')"
KIND = "import labs.registry, labs.kind.checkup, labs.kind.carry; labs.registry.load('kind')"
MODEL = "import labs.sandbox.dataplane.model"
COMMAND_LINE = "import tui.cli"


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        pytest.param(CONTENT, {"pydantic", "yaml"}, id="content"),
        pytest.param(GRADER, {"pydantic", "yaml"}, id="grader"),
        pytest.param(LABS, {"pydantic", "yaml"}, id="labs, sandbox from outside"),
        pytest.param(KIND, {"pydantic", "yaml"}, id="kind from outside"),
        pytest.param(MODEL, {"pydantic", "yaml"}, id="model dataplane"),
        pytest.param(COMMAND_LINE, {"click"}, id="command line before a command"),
    ],
)
def test_a_part_loads_no_more_than_it_may(code: str, allowed: set[str]) -> None:
    assert loaded(code) <= allowed


@pytest.mark.parametrize("package", ["content", "grader", "labs"])
def test_nothing_but_the_app_loads_textual(package: str) -> None:
    walk = (
        f"import importlib, pkgutil, {package}\n"
        f"for found in pkgutil.walk_packages({package}.__path__, '{package}.'):\n"
        f"    if not found.name.endswith('__main__'): importlib.import_module(found.name)"
    )
    assert not loaded(walk) & {"textual", "rich", "click", "pyte"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["lab", "--help"], ["reach", "--help"]])
def test_plain_commands_load_no_heavy_package(arguments: list[str]) -> None:
    code = f"from tui.cli import run\nrun({arguments!r})"
    assert loaded(code) <= {"click"}
