"""Label selectors of Kubernetes (`metav1.LabelSelector`) from JSON to the model.

Rules: apimachinery `metav1/validation.ValidateLabelSelector`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.kube.fields import bad_label_key, bad_label_value
from grader.kube.model import LabelSelector, Requirement

if TYPE_CHECKING:
    from grader.kube.fields import Problems

_FIELDS = frozenset({"matchLabels", "matchExpressions"})
_EXPRESSION_FIELDS = frozenset({"key", "operator", "values"})
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def read_selector(value: object, path: str, problems: Problems) -> LabelSelector:
    """Return a selector with `matchLabels` first, by key; null selects everything, as an empty one does."""
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, _FIELDS)
    labels = problems.labels(fields.get("matchLabels"), f"{path}.matchLabels")
    requirements = [Requirement(key, "In", (labels[key],)) for key in sorted(labels)]
    for index, entry in enumerate(problems.sequence(fields.get("matchExpressions"), f"{path}.matchExpressions")):
        requirements.append(_read_expression(entry, f"{path}.matchExpressions[{index}]", problems))
    return LabelSelector(tuple(requirements))


def _read_expression(value: object, path: str, problems: Problems) -> Requirement:
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, _EXPRESSION_FIELDS)
    key = problems.text(fields.get("key"), f"{path}.key")
    if why := bad_label_key(key):
        problems.invalid(f"{path}.key", key, why)
    operator = problems.text(fields.get("operator"), f"{path}.operator")
    listed = problems.sequence(fields.get("values"), f"{path}.values")
    values = tuple(problems.text(entry, f"{path}.values[{index}]") for index, entry in enumerate(listed))
    for index, text in enumerate(values):
        if why := bad_label_value(text):
            problems.invalid(f"{path}.values[{index}]", text, why)
    if operator in {"In", "NotIn"}:
        if not values:
            problems.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in {"Exists", "DoesNotExist"}:
        if values:
            problems.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        problems.unsupported(f"{path}.operator", operator, _OPERATORS)
    return Requirement(key, operator, values)
