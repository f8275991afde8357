"""ConfigMap, Secret, Endpoints, EndpointSlice, Event. Source: `pkg/apis/{core,discovery}/validation`."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

from labs.sandbox.api.validate import common

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.api.status import FieldErrors

_MEBIBYTE = 1024 * 1024
_NEEDS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}


def config_map(errors: FieldErrors, manifest: Manifest) -> None:
    """Check keys and size."""
    data, binary = manifest.get("data", {}), manifest.get("binaryData", {})
    for field, found in (("data", data), ("binaryData", binary)):
        for key in found:
            _config_key(errors, f"{field}[{key}]", key)
    for key in data:
        if key in binary:
            errors.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    size = sum(len(value.encode()) for value in data.values())
    size += sum(len(base64.b64decode(value)) for value in binary.values())
    if size > _MEBIBYTE:
        errors.too_long("", _MEBIBYTE)


def config_map_update(errors: FieldErrors, new: Manifest, old: Manifest) -> None:
    """Check that what was declared immutable stays."""
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        errors.forbidden("immutable", "field is immutable when `immutable` is set")
    for field in ("data", "binaryData"):
        if new.get(field) != old.get(field):
            errors.forbidden(field, "field is immutable when `immutable` is set")


def secret(errors: FieldErrors, manifest: Manifest) -> None:
    """Check keys, size, and what a secret's type demands."""
    data = manifest.get("data", {})
    for key in data:
        _config_key(errors, f"data[{key}]", key)
    if sum(len(base64.b64decode(value)) for value in data.values()) > _MEBIBYTE:
        errors.too_long("data", _MEBIBYTE)
    kind = manifest["type"]
    for key in _NEEDS.get(kind, ()):
        if key not in data:
            errors.required(f"data[{key}]")
        elif key.startswith(".docker"):
            _json_secret(errors, key, base64.b64decode(data[key]))
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        errors.required("data[username]")
        errors.required("data[password]")
    if kind == "kubernetes.io/service-account-token":
        name = "kubernetes.io/service-account.name"
        if not manifest["metadata"].get("annotations", {}).get(name):
            errors.required(f"metadata.annotations[{name}]")


def secret_update(errors: FieldErrors, new: Manifest, old: Manifest) -> None:
    """Check that the type stays, and the content if declared immutable."""
    if new["type"] != old["type"]:
        errors.invalid("type", new["type"], "field is immutable")
    if old.get("immutable"):
        if not new.get("immutable"):
            errors.forbidden("immutable", "field is immutable when `immutable` is set")
        if new.get("data") != old.get("data"):
            errors.forbidden("data", "field is immutable when `immutable` is set")


def endpoints(errors: FieldErrors, manifest: Manifest) -> None:
    """Check addresses and ports."""
    for n, subset in enumerate(manifest.get("subsets", ())):
        at = f"subsets[{n}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.required(at, "must specify `addresses` or `notReadyAddresses`")
        for m, address in enumerate(subset.get("addresses", ())):
            for problem in common.address_problems(address.get("ip", "")):
                errors.invalid(f"{at}.addresses[{m}].ip", address.get("ip", ""), problem)
        for m, port in enumerate(subset.get("ports", ())):
            common.port_number(errors, f"{at}.ports[{m}].port", port.get("port", 0))


def endpoint_slice(errors: FieldErrors, manifest: Manifest) -> None:
    """Check addresses by their family, and that ports' names differ."""
    family = manifest.get("addressType", "")
    if not family:
        errors.required("addressType")
    else:
        common.enumeration(errors, "addressType", family, ("FQDN", "IPv4", "IPv6"))
    for n, endpoint in enumerate(manifest["endpoints"]):
        at = f"endpoints[{n}].addresses"
        if not endpoint.get("addresses"):
            errors.required(at)
        for address in endpoint.get("addresses", ()):
            if common.address_problems(address):
                if family in {"IPv4", "IPv6"}:
                    errors.invalid(at, address, common.NOT_AN_ADDRESS)
            elif family in {"IPv4", "IPv6"} and (":" in address) != (family == "IPv6"):
                errors.invalid(at, address, f"must be an {family} address")
    names: set[str] = set()
    for n, port in enumerate(manifest["ports"]):
        if port["name"] in names:
            errors.duplicate(f"ports[{n}].name", port["name"])
        names.add(port["name"])


def endpoint_slice_update(errors: FieldErrors, new: Manifest, old: Manifest) -> None:
    """Check that the family stays."""
    if new.get("addressType") != old.get("addressType"):
        errors.invalid("addressType", new.get("addressType"), "field is immutable")


def event(errors: FieldErrors, manifest: Manifest) -> None:
    """Check that an event lives where its object does."""
    about = manifest.get("involvedObject", {}).get("namespace", "")
    if about != manifest["metadata"].get("namespace", "") and (about or manifest["metadata"]["namespace"] != "default"):
        errors.invalid("involvedObject.namespace", about, "does not match event.namespace")


def nothing(_errors: FieldErrors, _manifest: Manifest) -> None:
    """A kind without rules of its own."""


def nothing_new(_errors: FieldErrors, _new: Manifest, _old: Manifest) -> None:
    """A kind in which everything may change."""


def _config_key(errors: FieldErrors, at: str, key: str) -> None:
    if len(key) > 253:
        errors.invalid(at, key, "must be no more than 253 characters")
    if not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
        errors.invalid(at, key, common.NOT_A_CONFIG_KEY)
    elif key in {".", ".."}:
        errors.invalid(at, key, f"must not be '{key}'")
    elif key.startswith(".."):
        errors.invalid(at, key, "must not start with '..'")


def _json_secret(errors: FieldErrors, key: str, raw: bytes) -> None:
    try:
        json.loads(raw)
    except ValueError:
        first = raw[:1].decode("utf-8", "replace")
        errors.invalid(
            f"data[{key}]",
            "<secret contents redacted>",
            f"invalid character '{first}' looking for beginning of value" if first else "unexpected end of JSON input",
        )
