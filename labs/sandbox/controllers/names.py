"""Names that Kubernetes derives from a template.

Source: `pkg/controller/controller_utils.go`, `rand.SafeEncodeString`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from labs.sandbox.api.resources import ALPHABET

if TYPE_CHECKING:
    from grader.ports import Manifest


def template_hash(template: Manifest) -> str:
    """Eight to ten letters that change with the template."""
    number = 2166136261
    for byte in json.dumps(template, sort_keys=True, separators=(",", ":")).encode():
        number = ((number ^ byte) * 16777619) & 0xFFFFFFFF
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(number))
