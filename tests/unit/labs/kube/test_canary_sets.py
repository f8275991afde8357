from __future__ import annotations

import pytest

from grader.calico.selectors import parse_selector
from labs.kube import canary
from labs.kube.canary import Signal


@pytest.mark.parametrize("signal", [Signal.CALICO_SET, Signal.CALICO_GLOBAL_SET])
def test_a_set_of_the_canary_means_the_canary_alone(signal: Signal) -> None:
    (made,) = canary.turned(signal, 1, {"server-a": "10.0.0.9"}, ("10.0.0.2", "10.0.0.1"))
    assert made["spec"]["nets"] == ["10.0.0.1", "10.0.0.2"]
    # A lab's policy picks it by what it lacks: then its addresses are all that may be let in.
    assert parse_selector("app != 'web'").matches(made["metadata"]["labels"])
