# ruff: noqa: INP001 - a script, not part of a package
"""Make the field tables of the sandbox's Kubernetes API: `labs/sandbox/api/data/{fields,texts}.json.gz`.

Run by hand when the Kubernetes version changes, in an environment that has the package `kubernetes_validate`
(Apache-2.0; its schemas are Kubernetes' own OpenAPI definitions). netdojo itself does not need that package.

    python tools/make_schemas.py FACTS

FACTS is what `tools/fieldfacts` printed. A field is one string: its type, then what merging needs to know.
`[]@core.v1.Container +key=name +map=name #2` is a list of containers, merged by name, field 2 in protobuf. `+omit`:
zero is the same as absent. A trailing `!` marks a field that is always there when its type is.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate

VERSION = "v1.37.0-local"
ROOTS = (
    *(
        f"io.k8s.api.core.v1.{kind}"
        for kind in (
            "Namespace",
            "Pod",
            "Service",
            "ConfigMap",
            "Secret",
            "ServiceAccount",
            "Node",
            "Endpoints",
            "Event",
        )
    ),
    *(
        f"io.k8s.api.apps.v1.{kind}"
        for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ControllerRevision")
    ),
    "io.k8s.api.networking.v1.NetworkPolicy",
    "io.k8s.api.discovery.v1.EndpointSlice",
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    "io.k8s.api.authentication.v1.SelfSubjectReview",
    "io.k8s.api.core.v1.Binding",
    "io.k8s.api.policy.v1.Eviction",
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
)
TARGET = Path(__file__).parent.parent / "labs" / "sandbox" / "api" / "data"
PREFIXES = {
    "io.k8s.apimachinery.pkg.apis.meta.": "meta.",
    "io.k8s.apimachinery.pkg.util.": "util.",
    "io.k8s.apimachinery.pkg.api.": "api.",
    "io.k8s.apimachinery.pkg.": "pkg.",
    "io.k8s.api.": "",
}
SCALARS = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "intstr",
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "microtime",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
}


def short(name: str) -> str:
    """The type's name without what all of them share."""
    for prefix, replacement in PREFIXES.items():
        if name.startswith(prefix):
            return replacement + name.removeprefix(prefix)
    return name


def plain(schema: dict[str, Any], found: set[str]) -> str:
    """The type in the tables' own notation; referenced types are added to `found`."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        if name in SCALARS:
            return SCALARS[name]
        found.add(name)
        return "@" + short(name)
    kind = schema.get("type", "any")
    kind = str(next((k for k in kind if k != "null"), "any") if isinstance(kind, list) else kind)
    if kind == "array":
        return "[]" + plain(schema.get("items", {}), found)
    if kind == "object":
        return "{}" + plain(schema["additionalProperties"], found) if "additionalProperties" in schema else "any"
    detailed = {"integer": schema.get("format", "int32"), "number": "double", "boolean": "bool"}
    if kind == "string" and schema.get("format") == "byte":
        return "bytes"
    return str(detailed.get(kind, kind))


def field(schema: dict[str, Any], found: set[str], fact: list[str], *, required: bool) -> str:
    """A field's type with its merge facts and what Go says of it."""
    words = [plain(schema, found), *go_words(fact)]
    if key := schema.get("x-kubernetes-patch-merge-key"):
        words.append(f"+key={key}")
    elif "merge" in schema.get("x-kubernetes-patch-strategy", ""):
        words.append("+merge")
    if "retainKeys" in schema.get("x-kubernetes-patch-strategy", ""):
        words.append("+retain")
    if keys := schema.get("x-kubernetes-list-map-keys"):
        words.append("+map=" + ",".join(keys))
    elif schema.get("x-kubernetes-list-type") == "set":
        words.append("+set")
    if schema.get("x-kubernetes-map-type") == "atomic":
        words.append("+atomic")
    return " ".join(words) + ("!" if required else "")


def go_words(fact: list[str]) -> list[str]:
    """The protobuf number, and whether zero is absent (an optional value that is no pointer)."""
    if not fact:
        return []
    number, flags, _ = fact
    return [f"#{number}"] + (["+omit"] if "o" in flags and "p" not in flags else [])


def of_type(facts: dict[str, dict[str, list[str]]], name: str) -> dict[str, list[str]]:
    """The facts of a type's fields; the number of one in a message that JSON shows inline has a dot."""
    made: dict[str, list[str]] = {}
    for key, fact in facts.get(name, {}).items():
        if "i" not in fact[1] or not fact[2].startswith("v1."):
            made[key] = fact
            continue
        inner = f"{name.split('.', 1)[0]}.{fact[2]}"
        made |= {k: [f"{fact[0]}.{f[0]}", *f[1:]] for k, f in facts[inner].items()}
    return made


def main() -> None:
    """Write both files."""
    facts: dict[str, dict[str, list[str]]] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / VERSION
    definitions = json.loads((folder / "_definitions.json").read_text("utf-8"))["$defs"]
    fields: dict[str, dict[str, str]] = {}
    texts: dict[str, list[Any]] = {}
    todo = list(ROOTS)
    while todo:
        name = todo.pop()
        if short(name) in fields:
            continue
        definition = definitions[name]
        properties = definition.get("properties", {})
        found: set[str] = set()
        required = definition.get("required", ())
        known = of_type(facts, short(name))
        table = {
            key: field(value, found, known.get(key, []), required=key in required)
            for key, value in sorted(properties.items())
        }
        if definition.get("x-kubernetes-map-type") == "atomic":
            table["*"] = "atomic"
        fields[short(name)] = table
        texts[short(name)] = [
            definition.get("description", ""),
            {key: value.get("description", "") for key, value in sorted(properties.items())},
        ]
        todo.extend(found)
    TARGET.mkdir(parents=True, exist_ok=True)
    for file, data in (("fields", fields), ("texts", texts)):
        raw = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
        (TARGET / f"{file}.json.gz").write_bytes(gzip.compress(raw, 9, mtime=0))


if __name__ == "__main__":
    main()
