"""A chapter's questions, one at a time; after an answer each option says why it is right or wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.screens.closing import ClosingScreen
from tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from content.model import Question, Quiz
    from tui.course_map import Entry

HELP = """# The quiz

| Key | Does |
|---|---|
| Up, Down | move between the options |
| Space | pick an option, or take it back |
| Enter | answer; after the explanation: the next question |
| Escape | back to the course |

Where several options can be right, pick all of them before you answer.
"""


class QuizScreen(ClosingScreen):
    """Asks all questions; posts the score at the end."""

    HELP_TEXT: ClassVar[str] = HELP
    CSS = """
    QuizScreen #title { height: 1; background: $primary 25%; text-style: bold; padding: 0 1; }
    QuizScreen VerticalScroll { padding: 1 2; }
    QuizScreen #question { height: auto; margin-bottom: 1; text-style: bold; max-width: 100; }
    QuizScreen OptionList { height: auto; border: none; background: $background; max-width: 100; padding: 0; }
    QuizScreen OptionList:focus { border: none; }
    QuizScreen #outcome { height: auto; margin-top: 1; text-style: bold; }
    """
    BINDINGS: ClassVar = [
        Binding("f1", "app.help", "Help"),
        Binding("space", "pick", "Pick"),
        Binding("enter", "answer", "Answer", priority=True),
        Binding("escape,q", "close", "Back"),
    ]

    class Scored(Message):
        """All questions are answered."""

        def __init__(self, entry: Entry, right: int, questions: int) -> None:
            super().__init__()
            self.entry = entry
            self.right = right
            self.questions = questions

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self._entry = entry
        self._quiz: Quiz = entry.item  # type: ignore[assignment] # the app opens quizzes only
        self._at = 0
        self._picked: set[int] = set()
        self._answered = False
        self._right = 0

    def compose(self) -> ComposeResult:
        """Question, options, outcome."""
        yield Static("", id="title", markup=False)
        with VerticalScroll(can_focus=False):
            yield Static("", id="question", markup=False)
            yield OptionList(id="options")
            yield Static("", id="outcome", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """The first question."""
        self._show()
        self.query_one(OptionList).focus()

    @property
    def _question(self) -> Question:
        return self._quiz.questions[self._at]

    def _show(self) -> None:
        count = len(self._quiz.questions)
        self.query_one("#title", Static).update(f"{self._entry.title}   question {self._at + 1} of {count}")
        several = "  (several can be right)" if self._question.several else ""
        self.query_one("#question", Static).update(self._question.text.strip() + several)
        self._show_options(highlighted=0)
        self.query_one("#outcome", Static).update("Space picks, Enter answers.")

    def _show_options(self, highlighted: int | None) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(Option(self._prompt(n)) for n in range(len(self._question.options)))
        options.highlighted = highlighted

    def _prompt(self, number: int) -> Content:
        option = self._question.options[number]
        signs = ("☑", "☐") if self._question.several else ("◉", "○")
        line = Content(f"{signs[0] if number in self._picked else signs[1]} {option.text.strip()}")
        if not self._answered:
            return line
        verdict = "✓ right" if option.right else "✗ wrong"
        style = "bold" if option.right else "dim"
        return Content("\n").join([line, Content.styled(f"    {verdict}: {' '.join(option.why.split())}", style)])

    def action_pick(self) -> None:
        """Pick the highlighted option."""
        options = self.query_one(OptionList)
        at = options.highlighted
        if at is None or self._answered:
            return
        if not self._question.several:
            self._picked = {at}
        else:
            self._picked ^= {at}
        self._show_options(highlighted=at)

    def action_answer(self) -> None:
        """Answer, or go on."""
        if self._at >= len(self._quiz.questions):
            self.action_close()
        elif self._answered:
            self._next()
        else:
            self._answer()

    def _answer(self) -> None:
        at = self.query_one(OptionList).highlighted
        if not self._picked and at is not None and not self._question.several:
            self._picked = {at}
        if not self._picked:
            self.query_one("#outcome", Static).update("Pick with Space first.")
            return
        right = {n for n, option in enumerate(self._question.options) if option.right}
        self._answered = True
        self._right += self._picked == right
        self._show_options(highlighted=at)
        outcome = "✓ Right." if self._picked == right else "✗ Not quite."
        self.query_one("#outcome", Static).update(f"{outcome}  Enter goes on.")

    def _next(self) -> None:
        self._at += 1
        self._picked, self._answered = set(), False
        count = len(self._quiz.questions)
        if self._at < count:
            self._show()
            return
        self.query_one("#title", Static).update(self._entry.title)
        self.query_one("#question", Static).update(f"{self._right} of {count} right.")
        self.query_one(OptionList).clear_options()
        self.query_one("#outcome", Static).update("Enter goes back to the course.")
        self.post_message(self.Scored(self._entry, self._right, count))
