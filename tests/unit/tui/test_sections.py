import pytest

from tui.widgets.sections import split_sections


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("", []),
        ("\n\n", []),
        ("only text", ["only text"]),
        ("# A\ntext\n## B\nmore", ["# A\ntext", "## B\nmore"]),
        ("before\n# A", ["before", "# A"]),
        ("# A\n```sh\n# no heading\n```\n# B", ["# A\n```sh\n# no heading\n```", "# B"]),
        ("# A\n~~~~\n```\n# no\n~~~~\n# B", ["# A\n~~~~\n```\n# no\n~~~~", "# B"]),
        ("# A\n```\n# never closed", ["# A\n```\n# never closed"]),
        ("#### deep\n#no heading", ["#### deep\n#no heading"]),
    ],
)
def test_text_is_cut_before_headings(text: str, sections: list[str]) -> None:
    assert list(split_sections(text)) == sections
