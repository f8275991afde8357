"""The file that points kubectl at a lab's cluster, and at no other."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def kubeconfig(*, port: int, token: str, namespace: str = "default", name: str = "netdojo") -> str:
    """Its text; JSON is YAML too.

    The token is in the server's URL: kubectl sends bearer tokens over TLS only. It is the user's token as well, for
    clients that do send it.
    """
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": f"http://127.0.0.1:{port}/{token}"}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
            "current-context": name,
        },
        indent=2,
    )


def write_kubeconfig(path: Path, *, port: int, token: str, namespace: str = "default", name: str = "netdojo") -> None:
    """Write it so that only its owner can read it, all at once.

    Raises:
        OSError: the system refuses.
    """
    text = kubeconfig(port=port, token=token, namespace=namespace, name=name)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    new.replace(path)
