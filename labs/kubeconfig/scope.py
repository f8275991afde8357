"""Where a lab's objects would go on somebody's cluster: into its own namespaces, into others, or over all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from grader.ports import Manifest


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """An object by what deletes it."""

    api: str
    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a set of objects would touch.

    Attributes:
        namespaces: those that it makes.
        outside: objects in namespaces that it does not make.
        wide: objects of no namespace, namespaces apart.
    """

    namespaces: tuple[str, ...] = ()
    outside: tuple[Ref, ...] = ()
    wide: tuple[Ref, ...] = ()


def ref(manifest: Manifest, namespace: str, wide: Collection[tuple[str, str]]) -> Ref:
    """An object's name; `namespace` is that of objects that give none.

    Args:
        manifest: the object.
        namespace: where it goes when it does not say.
        wide: (group, kind) of what has no namespace in this cluster.
    """
    metadata = manifest.get("metadata") or {}
    api, kind = str(manifest.get("apiVersion", "")), str(manifest.get("kind", ""))
    at = "" if (group(api), kind) in wide else str(metadata.get("namespace") or namespace)
    return Ref(api, kind, str(metadata.get("name", "")), at)


def group(api: str) -> str:
    """The API group of an `apiVersion`; empty for the core's."""
    return api.rpartition("/")[0]


def scope(
    objects: Iterable[Manifest], namespace: str, wide: Collection[tuple[str, str]], own: Iterable[str] = ()
) -> Scope:
    """Sort objects by what they touch; `own` are namespaces that the lab has made before."""
    refs = [ref(item, namespace, wide) for item in objects]
    made = sorted({item.name for item in refs if is_namespace(item)})
    inside = {*made, *own}
    return Scope(
        tuple(made),
        tuple(sorted({item for item in refs if item.namespace and item.namespace not in inside})),
        tuple(sorted({item for item in refs if not item.namespace and not is_namespace(item)})),
    )


def defined_wide(objects: Iterable[Manifest]) -> Iterator[tuple[str, str]]:
    """The (group, kind) of kinds without namespaces that these objects define."""
    for item in objects:
        spec = item.get("spec")
        if item.get("kind") != "CustomResourceDefinition" or not isinstance(spec, dict):
            continue
        names = spec.get("names")
        if spec.get("scope") == "Cluster" and isinstance(names, dict):
            yield str(spec.get("group")), str(names.get("kind"))


def is_namespace(item: Ref) -> bool:
    """Tell whether it is a namespace itself."""
    return item.kind == "Namespace" and not group(item.api)
