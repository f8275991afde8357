"""A lab and a course on disk that a test may break."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from content.load import SHIPPED

COURSE = SHIPPED / "kubernetes-networking"
CHAPTER = COURSE / "03-network-policy"


@dataclass(frozen=True)
class Folder:
    path: Path

    def edit(self, file: str, old: str, new: str) -> None:
        place = self.path / file
        text = place.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {file}: the test breaks nothing"
        place.write_text(text.replace(old, new, 1), encoding="utf-8")

    def write(self, file: str, text: str) -> None:
        place = self.path / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def line(self, file: str, text: str) -> int:
        lines = (self.path / file).read_text(encoding="utf-8").splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.fixture
def lab_folder(tmp_path: Path) -> Folder:
    return Folder(Path(shutil.copytree(CHAPTER / "labs" / "first-policy", tmp_path / "first-policy")))


@pytest.fixture
def course_folder(tmp_path: Path) -> Folder:
    return Folder(Path(shutil.copytree(COURSE, tmp_path / "kubernetes-networking")))
