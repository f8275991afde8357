"""Questions about rights. Whoever has the lab's token may do everything in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.sandbox.api import status

if TYPE_CHECKING:
    from grader.ports import Manifest

USER = "kubernetes-admin"
TYPES = {
    "selfsubjectaccessreviews": "authorization.v1.SelfSubjectAccessReview",
    "selfsubjectrulesreviews": "authorization.v1.SelfSubjectRulesReview",
    "selfsubjectreviews": "authentication.v1.SelfSubjectReview",
}
_GROUPS = ["kubeadm:cluster-admins", "system:authenticated"]


def answer(plural: str, review: Manifest) -> Manifest:
    """The review with its answer.

    Raises:
        ApiError: 404, there is no such review.
    """
    if plural == "selfsubjectaccessreviews":
        return _made("SelfSubjectAccessReview", "authorization.k8s.io/v1", review, {"allowed": True})
    if plural == "selfsubjectrulesreviews":
        rules = {
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": False,
        }
        return _made("SelfSubjectRulesReview", "authorization.k8s.io/v1", review, rules)
    if plural == "selfsubjectreviews":
        user = {"userInfo": {"username": USER, "groups": _GROUPS}}
        return _made("SelfSubjectReview", "authentication.k8s.io/v1", review, user)
    raise status.no_such_path()


def _made(kind: str, version: str, review: Manifest, found: Manifest) -> Manifest:
    made: Manifest = {"kind": kind, "apiVersion": version, "metadata": {}}
    if "spec" in review:
        made["spec"] = review["spec"]
    return made | {"status": found}
