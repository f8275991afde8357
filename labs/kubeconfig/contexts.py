"""Kubeconfig files as kubectl reads them: several are merged, the first to say something wins."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from content.errors import BrokenContentError, Defect, UsageError
from content.yamlio import read_documents, read_text
from content.yamlreader import Limits
from grader.errors import NotCapableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LIMITS = Limits(size=4 << 20, documents=1, nodes=200_000, depth=32, scalar=1 << 20, aliased=2_000)
_CLUSTER_FILES = ("certificate-authority",)
_USER_FILES = ("client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True, slots=True)
class Context:
    """One context with what it points to.

    Attributes:
        cluster: the cluster's entry; paths of files are absolute.
        user: the user's entry, likewise.
    """

    name: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    namespace: str = "default"

    @property
    def server(self) -> str:
        """The API's address."""
        return str(self.cluster.get("server", ""))

    def alone(self, namespace: str) -> str:
        """A kubeconfig with this context only, and this namespace in it; JSON is YAML too."""
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": self.name, "cluster": dict(self.cluster)}],
                "users": [{"name": self.name, "user": dict(self.user)}],
                "contexts": [
                    {
                        "name": self.name,
                        "context": {"cluster": self.name, "user": self.name, "namespace": namespace},
                    }
                ],
                "current-context": self.name,
            },
            indent=2,
        )


@dataclass(slots=True)
class Contexts:
    """All contexts of some files, and the one that kubectl would take."""

    files: tuple[Path, ...] = ()
    current: str = ""
    entries: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {"clusters": {}, "users": {}, "contexts": {}}
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The contexts' names, sorted."""
        return tuple(sorted(self.entries["contexts"]))

    def named(self, name: str) -> Context:
        """The context of this name.

        Raises:
            UsageError: there is none.
            NotCapableError: it points to a cluster or a user that the files do not have.
        """
        found = self.entries["contexts"].get(name)
        if found is None:
            known = ", ".join(self.names) or "none"
            looked = ", ".join(map(str, self.files)) or "no file"
            raise UsageError(f"there is no context {name!r} in {looked}", remedy=f"the contexts there: {known}")
        cluster, user = str(found.get("cluster", "")), str(found.get("user", ""))
        if cluster not in self.entries["clusters"] or not self.entries["clusters"][cluster].get("server"):
            raise NotCapableError(
                f"context {name!r} points to the cluster {cluster!r}, which has no server in the kubeconfig",
                remedy="mend it: kubectl config view",
            )
        return Context(
            name,
            self.entries["clusters"][cluster],
            self.entries["users"].get(user, {}),
            str(found.get("namespace") or "default"),
        )


def default_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files that kubectl would read: those of KUBECONFIG, else the one in the home folder."""
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return tuple(named) or (Path("~/.kube/config").expanduser(),)


def read(files: Iterable[Path]) -> Contexts:
    """What these files say together; one that is missing says nothing.

    Raises:
        BrokenContentError: a file is no kubeconfig.
    """
    found = Contexts()
    for path in files:
        if not path.is_file():
            continue
        found.files += (path,)
        documents = read_documents(read_text(path, _LIMITS), path, _LIMITS)
        value = documents[0].value if documents else None
        if value is None:
            continue
        if not isinstance(value, dict):
            raise _broken(path, "it is no mapping")
        found.current = found.current or str(value.get("current-context") or "")
        for part, inner in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            for name, entry in _named(path, value.get(part), part, inner):
                found.entries[part].setdefault(name, _absolute(entry, path.parent.absolute()))
    return found


def _named(path: Path, given: object, part: str, inner: str) -> Iterable[tuple[str, dict[str, Any]]]:
    if given is None:
        return
    if not isinstance(given, list):
        raise _broken(path, f"{part} is no list")
    for item in given:
        if not isinstance(item, dict) or not isinstance(item.get(inner) or {}, dict):
            raise _broken(path, f"an entry of {part} is not of the form {{name: …, {inner}: {{…}}}}")
        yield str(item.get("name", "")), dict(item.get(inner) or {})


def _absolute(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Paths are relative to the file that names them."""
    for key in (*_CLUSTER_FILES, *_USER_FILES):
        if isinstance(entry.get(key), str) and entry[key]:
            entry[key] = str(folder / entry[key])
    plugin = entry.get("exec")
    if isinstance(plugin, dict) and isinstance(plugin.get("command"), str) and os.sep in plugin["command"]:
        entry["exec"] = {**plugin, "command": str(folder / plugin["command"])}
    return entry


def _broken(path: Path, cause: str) -> BrokenContentError:
    return BrokenContentError([Defect(path, 0, f"this is no kubeconfig: {cause}", "mend it: kubectl config view")])
