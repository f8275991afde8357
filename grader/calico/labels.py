"""The labels that Calico's selectors see: an endpoint's own, those it inherits, and those that Calico adds.

A namespace's labels are inherited with the prefix `pcns.`, a service account's with `pcsa.`, those of its profiles as
they are. Its own labels win. Source: libcalico-go `lib/backend/k8s/conversion`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.calico.selectors import Compare, Everything, Junction, Negation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grader.calico.model import HostEndpoint, NetworkSet
    from grader.calico.selectors import Expression
    from grader.kube.model import Objects, Pod

NAMESPACE = "projectcalico.org/namespace"
ACCOUNT = "projectcalico.org/serviceaccount"
_NAME = "projectcalico.org/name"
_ORCHESTRATOR = "projectcalico.org/orchestrator"
OF_NAMESPACE = "pcns."
OF_ACCOUNT = "pcsa."


class LabelViews:
    """The labels of a snapshot's endpoints and network sets as selectors see them."""

    def __init__(self, objects: Objects) -> None:
        self._namespaces = {each.name: each.labels for each in objects.namespaces}
        self._accounts = {(each.namespace, each.name): each.labels for each in objects.service_accounts}
        self._profiles = {each.name: each.labels for each in objects.profiles}
        self._of_namespace: dict[str, Mapping[str, str]] = {}
        self._of_account: dict[tuple[str, str], Mapping[str, str]] = {}
        self._of_pod: dict[tuple[int, str, str], Mapping[str, str]] = {}

    def pod(self, pod: Pod) -> Mapping[str, str]:
        """Return those of a pod; pods of one template share one object."""
        # The snapshot keeps the labels alive, so that their identity is theirs for as long as this object lives.
        key = id(pod.labels), pod.namespace, pod.service_account
        found = self._of_pod.get(key)
        if found is None:
            added = {NAMESPACE: pod.namespace, ACCOUNT: pod.service_account, _ORCHESTRATOR: "k8s"}
            inherited = {**self._account(key[1:]), **self._namespace(pod.namespace)}
            found = self._of_pod[key] = {**inherited, **pod.labels, **added}
        return found

    def host(self, host: HostEndpoint) -> Mapping[str, str]:
        """Return those of a host endpoint; of several profiles the first counts."""
        labels: dict[str, str] = {}
        for profile in reversed(host.profiles):
            labels.update(self._profiles.get(profile, {}))
        return {**labels, **host.labels}

    def network_set(self, network_set: NetworkSet) -> Mapping[str, str]:
        """Return those of a network set; a global one inherits nothing."""
        if not network_set.namespace:
            return network_set.labels
        inherited = self._namespace(network_set.namespace)
        return {**inherited, **network_set.labels, NAMESPACE: network_set.namespace}

    def _namespace(self, name: str) -> Mapping[str, str]:
        found = self._of_namespace.get(name)
        if found is None:
            own = {**self._namespaces.get(name, {}), _NAME: name}
            found = self._of_namespace[name] = {
                **self._profiles.get(f"kns.{name}", {}),
                **{OF_NAMESPACE + key: value for key, value in own.items()},
            }
        return found

    def _account(self, key: tuple[str, str]) -> Mapping[str, str]:
        found = self._of_account.get(key)
        if found is None:
            own = {**self._accounts.get(key, {}), _NAME: key[1]}
            found = self._of_account[key] = {
                **self._profiles.get(f"ksa.{key[0]}.{key[1]}", {}),
                **{OF_ACCOUNT + key: value for key, value in own.items()},
            }
        return found


def of_namespaces(expression: Expression) -> Expression:
    """Return a `namespaceSelector` as a selector of endpoints: `all()` is every namespaced one, `global()` no such."""
    match expression:
        case Everything("global()"):
            return Negation(Compare(NAMESPACE, "has"))
        case Everything():
            return Compare(NAMESPACE, "has")
        case _:
            return _prefixed(expression, OF_NAMESPACE, of_namespaces)


def of_accounts(expression: Expression) -> Expression:
    """Return a selector of service accounts as a selector of endpoints."""
    return _prefixed(expression, OF_ACCOUNT, of_accounts)


def _prefixed(expression: Expression, prefix: str, inner: Callable[[Expression], Expression]) -> Expression:
    match expression:
        case Compare(key, operator, values):
            return Compare(prefix + key, operator, values)
        case Negation(operand):
            return Negation(inner(operand))
        case Junction(word, operands):
            return Junction(word, tuple(map(inner, operands)))
        case _:
            return expression
