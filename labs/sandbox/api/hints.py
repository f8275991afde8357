"""Warnings that the server gives with an object that it accepts. Source: `pkg/api/pod/warnings.go` and its siblings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.api.kinds import Kind


def about(kind: Kind, manifest: Manifest) -> list[str]:
    """What to tell whoever wrote this object."""
    found = [kind.warning] if kind.warning else []
    if kind.resource == "pods":
        found += _pod("spec", manifest["spec"])
    elif kind.resource == "services" and manifest["spec"].get("externalIPs"):
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    elif isinstance(manifest.get("spec"), dict) and isinstance(manifest["spec"].get("template"), dict):
        found += _pod("spec.template.spec", manifest["spec"]["template"]["spec"])
    return found


def _pod(at: str, spec: dict[str, Any]) -> list[str]:
    found = []
    for field in ("containers", "initContainers"):
        for n, container in enumerate(spec.get(field, ())):
            here = f"{at}.{field}[{n}]"
            seen: dict[tuple[object, object], int] = {}
            for m, port in enumerate(container.get("ports", ())):
                key = (port.get("containerPort"), port.get("protocol"))
                if key in seen:
                    found.append(f"{here}.ports[{m}]: duplicate port definition with {here}.ports[{seen[key]}]")
                seen.setdefault(key, m)
            names: set[str] = set()
            for m, variable in enumerate(container.get("env", ())):
                name = variable.get("name", "")
                if name in names:
                    found.append(
                        f'{here}.env[{m}]: hides previous definition of "{name}", which may be dropped when using apply'
                    )
                names.add(name)
    return found
