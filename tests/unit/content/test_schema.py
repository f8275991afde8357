from __future__ import annotations

import json

import pytest

from content.errors import UsageError
from content.schema import KINDS, schema


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_plain_json_and_refuses_unknown_fields(kind: str) -> None:
    found = json.loads(json.dumps(schema(kind)))
    assert found["$schema"].startswith("https://json-schema.org/")
    assert found["additionalProperties"] is False
    assert found["description"]
    assert found["required"]


def test_fields_of_a_lab_are_described() -> None:
    found = schema("lab")
    described = {name for name, field in found["properties"].items() if "description" in field}
    assert {"summary", "namespace", "tasks", "mistakes", "minutes", "backends", "needs", "id", "title"} <= described
    assert {"allow", "deny", "others", "between", "to"} == set(found["$defs"]["Connectivity"]["properties"])


def test_there_is_no_other_kind() -> None:
    with pytest.raises(UsageError) as caught:
        schema("labs")
    assert caught.value.remedy == "did you mean lab?"
