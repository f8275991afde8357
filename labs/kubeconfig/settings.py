"""What the user says about the cluster: which file, which context, which image, and what was agreed to.

`config.toml` has a table `[kubeconfig]` with `context`, `file`, `agents` (the ways to the pods' networks that may be
used, separated by commas), `agent_image` and `workload_image` (what netdojo's own canary runs); the variables
`NETDOJO_KUBECONFIG_CONTEXT` and so on win over it. Consent is never kept: `--yes`, `NETDOJO_KUBECONFIG_YES=1` or an
answer is for one command.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from content.errors import BrokenContentError, Defect, UsageError
from labs import store
from labs.kube.canary import IMAGE as WORKLOAD_IMAGE
from labs.kubeconfig import contexts

if TYPE_CHECKING:
    from collections.abc import Mapping

AGENT_IMAGE = "debian:13-slim"
"""A small public image with Perl (perl-base is part of every Debian) and `nsenter`; only its programs are used."""

CONTAINERS, AGENTS, PODS = "containers", "agents", "pods"
"""How commands get at the pods' networks: nodes that are containers of a Docker engine that answers here; a privileged
agent pod a node; an ephemeral container in each of the lab's own pods."""
WAYS = (CONTAINERS, AGENTS, PODS)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default.

    Attributes:
        context: the context that was named; empty when none was.
        files: kubeconfig files, as kubectl would read them.
        agent_image: what agent pods and ephemeral containers run.
        workload_image: what the pods run by which enforcement is proven.
        ways: those that may be used, in the order in which they are tried.
        yes: everything is agreed to beforehand.
    """

    context: str = ""
    files: tuple[Path, ...] = ()
    agent_image: str = AGENT_IMAGE
    workload_image: str = WORKLOAD_IMAGE
    ways: tuple[str, ...] = WAYS
    yes: bool = False

    def contexts(self) -> contexts.Contexts:
        """What the files say."""
        return contexts.read(self.files)


def load(environ: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """The settings of this user.

    Raises:
        BrokenContentError: the settings' file is no TOML.
        UsageError: a value is none that there is.
    """
    environ = os.environ if environ is None else environ
    table = _table(store.folders().config / "config.toml" if file is None else file)

    def value(name: str) -> str:
        return environ.get(f"NETDOJO_KUBECONFIG_{name.upper()}") or str(table.get(name) or "")

    named = value("file")
    files = (Path(named).expanduser(),) if named else contexts.default_files(environ)
    ways = tuple(word.strip() for word in value("agents").split(",") if word.strip()) or WAYS
    if unknown := [word for word in ways if word not in WAYS]:
        raise UsageError(
            f"kubeconfig.agents has {unknown[0]!r}, which is no way to the pods' networks",
            remedy=f"name some of: {', '.join(WAYS)}",
        )
    return Settings(
        value("context"),
        files,
        value("agent_image") or AGENT_IMAGE,
        value("workload_image") or WORKLOAD_IMAGE,
        ways,
        environ.get("NETDOJO_KUBECONFIG_YES", "").lower() in {"1", "yes", "true"},
    )


def _table(file: Path) -> dict[str, object]:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get("kubeconfig", {})
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise BrokenContentError([Defect(file, 0, f"settings cannot be read: {error}", "mend or remove it")]) from error
    return found if isinstance(found, dict) else {}
