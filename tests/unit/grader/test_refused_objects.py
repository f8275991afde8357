"""Every cause that is told of an object that the API refuses: its field, its value and the whole sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from content.errors import BrokenContentError

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = Path(__file__).with_name("refused.yaml").read_text(encoding="utf-8")
REFUSED: dict[str, dict[str, Any]] = yaml.load(TEXT, yaml.CSafeLoader)


@pytest.mark.parametrize("name", REFUSED)
def test_every_cause_is_told(parsed: Callable[..., Any], name: str) -> None:
    with pytest.raises(BrokenContentError) as caught:
        parsed(REFUSED[name]["object"])
    causes = [defect.cause.partition(": ")[2] for defect in caught.value.defects]
    assert causes == REFUSED[name]["causes"]
