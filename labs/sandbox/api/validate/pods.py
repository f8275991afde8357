"""Pods and the pod templates of workloads. Source: `pkg/apis/core/validation/validation.go`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import quantity
from labs.sandbox.api.validate import common

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.api.status import FieldErrors

_FIELD_PATHS = frozenset({
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs", "metadata.labels", "metadata.annotations",
})  # fmt: skip
_STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_MAY_CHANGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod(errors: FieldErrors, manifest: Manifest) -> None:
    """Check a pod with its defaults."""
    pod_spec(errors, "spec", manifest["spec"])


def pod_update(errors: FieldErrors, new: Manifest, old: Manifest) -> None:
    """Check that a change touches only what may change in a pod."""
    if _fixed_part(new["spec"]) != _fixed_part(old["spec"]):
        errors.forbidden("spec", _MAY_CHANGE)
    kept = old["spec"].get("tolerations", [])
    if any(toleration not in new["spec"].get("tolerations", []) for toleration in kept):
        errors.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")


def _fixed_part(spec: Manifest) -> Manifest:
    """The spec without what may change (or what the scheduler and an ephemeral container set)."""
    open_fields = {"activeDeadlineSeconds", "tolerations", "nodeName"}
    fixed = {key: value for key, value in spec.items() if key not in open_fields}
    for field in ("containers", "initContainers"):
        if field in fixed:
            fixed[field] = [{k: v for k, v in container.items() if k != "image"} for container in fixed[field]]
    return fixed


def pod_spec(errors: FieldErrors, at: str, spec: dict[str, Any]) -> None:
    """Check the spec of a pod or template."""
    host_network = bool(spec.get("hostNetwork"))
    names: set[str] = set()
    if not spec.get("containers"):
        errors.required(f"{at}.containers")
    host_ports: set[str] = set()
    for field in ("containers", "initContainers"):
        for n, container in enumerate(spec.get(field, ())):
            _container(errors, f"{at}.{field}[{n}]", container, names, host_network, host_ports)
    _policies(errors, at, spec)
    common.labels(errors, f"{at}.nodeSelector", spec.get("nodeSelector", {}))
    for field, problems in (("serviceAccountName", common.subdomain_problems), ("nodeName", common.subdomain_problems)):
        if spec.get(field):
            for problem in problems(spec[field]):
                errors.invalid(f"{at}.{field}", spec[field], problem)
    for n, toleration in enumerate(spec.get("tolerations", ())):
        _toleration(errors, f"{at}.tolerations[{n}]", toleration)
    for n, constraint in enumerate(spec.get("topologySpreadConstraints", ())):
        _spread(errors, f"{at}.topologySpreadConstraints[{n}]", constraint)


def _policies(errors: FieldErrors, at: str, spec: dict[str, Any]) -> None:
    common.enumeration(errors, f"{at}.restartPolicy", spec["restartPolicy"], ("Always", "OnFailure", "Never"))
    policies = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
    common.enumeration(errors, f"{at}.dnsPolicy", spec["dnsPolicy"], policies)
    if spec["dnsPolicy"] == "None" and not spec.get("dnsConfig", {}).get("nameservers"):
        if "dnsConfig" in spec:
            errors.required(
                f"{at}.dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"
            )
        else:
            errors.required(f"{at}.dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None")


def _container(
    errors: FieldErrors, at: str, container: dict[str, Any], names: set[str], host_network: bool, host_ports: set[str]
) -> None:
    name = container.get("name", "")
    if not name:
        errors.required(f"{at}.name")
    else:
        for problem in common.label_problems(name):
            errors.invalid(f"{at}.name", name, problem)
        if name in names:
            errors.duplicate(f"{at}.name", name)
        names.add(name)
    image = container.get("image", "")
    if not image:
        errors.required(f"{at}.image")
    elif image != image.strip():
        errors.invalid(f"{at}.image", image, "must not have leading or trailing whitespace")
    _ports(errors, at, container.get("ports", ()), host_network, host_ports)
    for n, variable in enumerate(container.get("env", ())):
        _variable(errors, f"{at}.env[{n}]", variable)
    _resources(errors, f"{at}.resources", container.get("resources", {}))
    if "imagePullPolicy" in container:
        pull = ("Always", "IfNotPresent", "Never")
        common.enumeration(errors, f"{at}.imagePullPolicy", container["imagePullPolicy"], pull)


def _ports(errors: FieldErrors, at: str, ports: Any, host_network: bool, host_ports: set[str]) -> None:  # noqa: ANN401 - JSON
    names: set[str] = set()
    for n, port in enumerate(ports):
        here = f"{at}.ports[{n}]"
        if port.get("name"):
            problems = common.port_name_problems(port["name"])
            for problem in problems:
                errors.invalid(f"{here}.name", port["name"], problem)
            if not problems and port["name"] in names:
                errors.duplicate(f"{here}.name", port["name"])
            names.add(port["name"])
        if not port.get("containerPort"):
            errors.required(f"{here}.containerPort")
        else:
            common.port_number(errors, f"{here}.containerPort", port["containerPort"])
        host_port = port.get("hostPort")
        if host_port is not None:
            common.port_number(errors, f"{here}.hostPort", host_port)
            if host_network and host_port != port.get("containerPort"):
                errors.invalid(f"{here}.hostPort", host_port, "must match `containerPort` when `hostNetwork` is true")
            used = f"{port.get('protocol')}/{port.get('hostIP', '')}/{host_port}"
            if used in host_ports:
                errors.duplicate(f"{here}.hostPort", used)
            host_ports.add(used)
        common.enumeration(errors, f"{here}.protocol", port["protocol"], common.PROTOCOLS)


def _variable(errors: FieldErrors, at: str, variable: dict[str, Any]) -> None:
    name = variable.get("name", "")
    if not name:
        errors.required(f"{at}.name")
    elif not re.fullmatch(r"[ -<>-~]+", name):
        errors.invalid(
            f"{at}.name",
            name,
            "a valid environment variable name must consist only of printable ASCII characters other than '='",
        )
    source = variable.get("valueFrom")
    if source is None:
        return
    if variable.get("value"):
        errors.invalid(f"{at}.valueFrom", "", "may not be specified when `value` is not empty")
    path = source.get("fieldRef", {}).get("fieldPath", "metadata.name")
    if path.partition("[")[0] not in _FIELD_PATHS:
        errors.invalid(
            f"{at}.valueFrom.fieldRef.fieldPath", path, f"error converting fieldPath: field label not supported: {path}"
        )


def _resources(errors: FieldErrors, at: str, resources: dict[str, Any]) -> None:
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            here = f"{at}.{field}[{name}]"
            for problem in common.qualified_name_problems(name):
                errors.invalid(here, name, problem)
            if "/" not in name and name not in _STANDARD_RESOURCES and not name.startswith("hugepages-"):
                errors.invalid(here, name, "must be a standard resource type or fully qualified")
                errors.invalid(here, name, "must be a standard resource for containers")
                continue
            value = quantity.parse(amount)
            if value < 0:
                errors.invalid(here, amount, common.NEGATIVE)
            elif "/" in name and value.denominator != 1:
                errors.invalid(here, amount, "must be an integer")
    for name, amount in requests.items():
        if name in limits and quantity.parse(amount) > quantity.parse(limits[name]):
            errors.invalid(f"{at}.requests", amount, f"must be less than or equal to {name} limit of {limits[name]}")


def _toleration(errors: FieldErrors, at: str, toleration: dict[str, Any]) -> None:
    operator = toleration.get("operator", "Equal")
    if toleration.get("key"):
        for problem in common.qualified_name_problems(toleration["key"]):
            errors.invalid(f"{at}.key", toleration["key"], problem)
    elif operator != "Exists":
        errors.invalid(
            f"{at}.operator",
            operator,
            'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        )
    if operator == "Exists" and toleration.get("value"):
        errors.invalid(f"{at}.operator", toleration["value"], "value must be empty when `operator` is 'Exists'")
    elif operator not in {"Equal", "Exists"}:
        errors.unsupported(f"{at}.operator", operator, ("Equal", "Exists"))
    if toleration.get("effect"):
        effects = ("NoSchedule", "PreferNoSchedule", "NoExecute")
        common.enumeration(errors, f"{at}.effect", toleration["effect"], effects)


def _spread(errors: FieldErrors, at: str, constraint: dict[str, Any]) -> None:
    if constraint.get("maxSkew", 0) <= 0:
        errors.invalid(f"{at}.maxSkew", constraint.get("maxSkew", 0), "must be greater than zero")
    if not constraint.get("topologyKey"):
        errors.required(f"{at}.topologyKey", "can not be empty")
    when = constraint.get("whenUnsatisfiable", "")
    common.enumeration(errors, f"{at}.whenUnsatisfiable", when, ("DoNotSchedule", "ScheduleAnyway"))
