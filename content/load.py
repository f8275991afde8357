"""Folders to models. Every defect is found before anything is refused, so that an author mends a file once.

courses/<course>/course.yaml
courses/<course>/NN-<chapter>/chapter.yaml  quiz.yaml  lessons/NN-<lesson>.md
courses/<course>/NN-<chapter>/labs/<lab>/lab.yaml  instructions.md  start/*.yaml  solution/*.yaml
courses/<course>/NN-<chapter>/labs/<lab>/mistakes/<mistake>/*.yaml
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from content.errors import BrokenContentError, Defect, UsageError, printable
from content.model import (
    Chapter,
    ChapterSpec,
    Course,
    CourseSpec,
    Lab,
    LabSpec,
    Lesson,
    LessonHead,
    Manifest,
    Model,
    Quiz,
)
from content.wording import defects_of, suggestion
from content.yamlio import LAB_FILE, line_of, read_documents, read_manifests, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHIPPED = Path(__file__).parent / "courses"
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
NUMBERED = re.compile(rf"([0-9]{{2}})-({SLUG.pattern})")
FRONT_MATTER = re.compile(r"---\n(.*?\n)---\n(.*)", re.DOTALL)

AnyModel = TypeVar("AnyModel", bound=Model)


def load_course(folder: Path) -> Course:
    """Read a whole course.

    Raises:
        BrokenContentError: with every defect of every file.
    """
    loader = Loader(folder)
    return _usable(loader.course(), loader.defects)


def load_lab(folder: Path, chapter: int = 0) -> Lab:
    """Read one lab, and nothing else.

    Raises:
        BrokenContentError: with every defect of every file.
    """
    loader = Loader(folder)
    return _usable(loader.lab(folder, chapter), loader.defects)


def shipped_courses() -> tuple[Course, ...]:
    """Read the courses that come with netdojo."""
    return tuple(load_course(file.parent) for file in sorted(SHIPPED.glob("*/course.yaml")))


def lab_folders(root: Path = SHIPPED) -> dict[str, tuple[Path, int]]:
    """Return the folder and the chapter's number of every lab below a folder of courses, by id, without reading any."""
    chapters = sorted(root.glob("*/*/chapter.yaml"))
    return {
        file.parent.name: (file.parent, int(numbered.group(1)))
        for chapter in chapters
        if (numbered := NUMBERED.fullmatch(chapter.parent.name))
        for file in sorted(chapter.parent.glob("labs/*/lab.yaml"))
    }


def find_lab(lab: str, root: Path = SHIPPED) -> Lab:
    """Read the lab of this id.

    Raises:
        UsageError: there is none; the remedy names the nearest.
        BrokenContentError: it cannot be used.
    """
    folders = lab_folders(root)
    if lab not in folders:
        raise UsageError(f"there is no lab {lab!r}", remedy=suggestion(lab, folders))
    folder, chapter = folders[lab]
    return load_lab(folder, chapter)


def _usable(found: AnyModel | None, defects: list[Defect]) -> AnyModel:
    if defects or found is None:
        raise BrokenContentError(sorted(defects, key=lambda defect: (str(defect.file), defect.line)))
    return found


def _present(found: Iterable[AnyModel | None]) -> Iterator[AnyModel]:
    return (item for item in found if item is not None)


class Loader:
    """Reads what lies in one folder, and collects defects instead of stopping at the first.

    Args:
        root: nothing outside of it is read, whatever links say.
    """

    def __init__(self, root: Path) -> None:
        self._folder, self._root = root, root.resolve()
        self.defects: list[Defect] = []

    def course(self) -> Course | None:
        """The course in the root folder; None when its own file cannot be used."""
        spec = self._model(self._folder / "course.yaml", CourseSpec)
        files = sorted(self._folder.glob("*/chapter.yaml"))
        chapters = tuple(_present(self.chapter(file.parent) for file in files))
        if not SLUG.fullmatch(self._root.name):
            self._defect(self._folder, f"{self._root.name} is no name for a course's folder", "use a-z, 0-9 and -")
        elif spec is not None:
            return Course(
                id=self._root.name,
                title=spec.title,
                summary=spec.summary,
                folder=self._folder,
                chapters=chapters,
            )
        return None

    def chapter(self, folder: Path) -> Chapter | None:
        """One chapter; None when its own file cannot be used."""
        numbered = NUMBERED.fullmatch(folder.resolve().name)
        if numbered is None:
            self._defect(folder, f"{folder.name} is no name for a chapter's folder", "name it like 03-network-policy")
            return None
        number, name = int(numbered.group(1)), numbered.group(2)
        spec = self._model(folder / "chapter.yaml", ChapterSpec)
        lessons = tuple(_present(self.lesson(file) for file in sorted(folder.glob("lessons/*.md"))))
        quiz = self._model(folder / "quiz.yaml", Quiz) if (folder / "quiz.yaml").exists() else None
        if spec is None:
            return None
        labs = tuple(_present(self._chapter_lab(folder, spec, number)))
        return Chapter(
            number=number,
            id=name,
            title=spec.title,
            summary=spec.summary,
            folder=folder,
            lessons=lessons,
            labs=labs,
            quiz=quiz,
        )

    def _chapter_lab(self, folder: Path, spec: ChapterSpec, number: int) -> Iterator[Lab | None]:
        there = {file.parent.name for file in folder.glob("labs/*/lab.yaml")}
        file = folder / "chapter.yaml"
        for index, lab in enumerate(spec.labs):
            if lab in there:
                yield self.lab(folder / "labs" / lab, number)
            else:
                line = line_of(read_text(file, LAB_FILE), ("labs", index))
                self._defect(file, f"there is no lab {lab} in labs/", suggestion(lab, there), line)
        for lab in sorted(there - set(spec.labs)):
            self._defect(file, f"the lab labs/{lab} is not in the list of labs", "add it to `labs`, in its place")

    def lesson(self, file: Path) -> Lesson | None:
        """One lesson: front matter, then Markdown."""
        numbered = NUMBERED.fullmatch(file.stem)
        if numbered is None:
            self._defect(file, f"{file.name} is no name for a lesson", "name it like 01-what-and-why.md")
            return None
        text = self._text(file)
        if text is None:
            return None
        parts = FRONT_MATTER.fullmatch(text)
        if parts is None:
            self._defect(file, "there is no front matter", "begin with ---, title:, minutes:, and --- again", 1)
            return None
        head = self._parse(
            file, "\n" + parts.group(1), LessonHead
        )  # the line break keeps lines as they are in the file
        if head is None:
            return None
        return Lesson(id=numbered.group(2), title=head.title, minutes=head.minutes, path=file, text=parts.group(2))

    def lab(self, folder: Path, chapter: int = 0) -> Lab | None:
        """One lab; None when it cannot be used."""
        spec = self._model(folder / "lab.yaml", LabSpec)
        instructions = self._text(folder / "instructions.md")
        start, solution = self._manifests(folder / "start"), self._manifests(folder / "solution")
        if spec is None or instructions is None:
            return None
        if spec.id != (name := folder.resolve().name):
            file = folder / "lab.yaml"
            line = line_of(read_text(file, LAB_FILE), ("id",))
            self._defect(file, f"the id {spec.id} is not the folder's name", f"write id: {name}", line)
        mistakes = {name: self._manifests(folder / "mistakes" / name) for name in spec.mistakes}
        return Lab(
            folder=folder,
            chapter=chapter,
            spec=spec,
            instructions=instructions,
            start=start,
            solution=solution,
            mistakes=mistakes,
        )

    def _manifests(self, folder: Path) -> tuple[Manifest, ...]:
        files = sorted(folder.glob("*.yaml"))
        if not files:
            self._defect(folder, "there is no manifest", "put the Kubernetes objects in files that end in .yaml")
        return tuple(_present(self._manifest(file) for file in files))

    def _manifest(self, file: Path) -> Manifest | None:
        text = self._text(file)
        if text is None:
            return None
        try:
            objects = tuple(value for value, _line in read_manifests(text, file=file))
        except BrokenContentError as error:
            self.defects.extend(error.defects)
            return None
        return Manifest(path=file, text=text, objects=objects)

    def _model(self, file: Path, model: type[AnyModel]) -> AnyModel | None:
        text = self._text(file)
        return None if text is None else self._parse(file, text, model)

    def _parse(self, file: Path, text: str, model: type[AnyModel]) -> AnyModel | None:
        try:
            documents = read_documents(text, file, LAB_FILE)
            return model.model_validate(documents[0].value if documents else None)
        except BrokenContentError as error:
            self.defects.extend(error.defects)
        except ValidationError as error:
            self.defects.extend(defects_of(error, model, file, text))
        return None

    def _text(self, file: Path) -> str | None:
        """A file's text; None, and a defect, when it is not there or not inside of the root."""
        if not file.resolve().is_relative_to(self._root):
            self._defect(file, "a link that leaves the folder", "put the file itself here")
        elif not file.exists():
            self._defect(file, "the file is missing", "")
        elif not file.is_file():
            self._defect(file, "this is not a file", "")
        else:
            try:
                text = read_text(file, LAB_FILE).replace("\r\n", "\n")
            except BrokenContentError as error:
                self.defects.extend(error.defects)
                return None
            shown = printable(text)
            if shown == text:
                return text
            at = next(n for n, (one, other) in enumerate(zip(text, shown, strict=True)) if one != other)
            cause = f"the character U+{ord(text[at]):04X} would control the terminal that shows it"
            self._defect(file, cause, "remove it", text.count("\n", 0, at) + 1)
        return None

    def _defect(self, file: Path, cause: str, remedy: str, line: int = 0) -> None:
        self.defects.append(Defect(file, line, cause, remedy))
