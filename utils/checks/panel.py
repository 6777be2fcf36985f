"""How results look: compact HTML that follows the notebook's theme, and the same in plain text."""

import html
import re
from dataclasses import dataclass

CORRECT, PARTLY, WRONG, NOT_ATTEMPTED, ERROR = "correct", "partly", "wrong", "not attempted", "error"

# Colour never stands alone: each outcome has its own sign and its own word. The colours are Okabe and Ito's.
SIGNS = {CORRECT: ("✔", "#009E73"), PARTLY: ("◐", "#E69F00"), WRONG: ("✘", "#D55E00"), NOT_ATTEMPTED: ("○", "#888888"), ERROR: ("!", "#CC79A7")}
WORDS = {CORRECT: "Correct", PARTLY: "Partly correct", WRONG: "Not yet", NOT_ATTEMPTED: "Not attempted", ERROR: "Error in your code"}


@dataclass
class Result:
    """What came of one check. `exercise` has an id, a title and points; `named` is True where the message names a misconception."""

    exercise: object
    outcome: str
    points: float
    message: str
    named: bool = False
    printed: str = ""

    def __repr__(self) -> str:
        return result_text(self)

    def _repr_html_(self) -> str:
        return result_html(self)


def number(points: float) -> str:
    return f"{points:g}"


def score(result: Result) -> str:
    return f"{number(result.points)}/{number(result.exercise.points)}"


def result_text(result: Result) -> str:
    head = f"{SIGNS[result.outcome][0]} {result.exercise.id} {result.exercise.title}: {WORDS[result.outcome].lower()} ({score(result)})"
    return "\n".join([head, *(f"  {line}" for line in result.message.splitlines())])


def rich(text: str) -> str:
    """Escaped text with `code` in backticks and line breaks."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", html.escape(text)).replace("\n", "<br>")


def box(color: str, inside: str) -> str:
    return (f'<div role="status" style="border-left:5px solid {color};padding:.3em .8em;margin:.3em 0;line-height:1.45;max-width:60em">{inside}</div>')


def result_html(result: Result) -> str:
    sign, color = SIGNS[result.outcome]
    title = f"<b>{sign} {WORDS[result.outcome]}</b> · {result.exercise.id} {rich(result.exercise.title)} · {score(result)}"
    message = f"<div>{rich(result.message)}</div>" if result.message else ""
    printed = ""
    if result.printed.strip():
        printed = f"<details><summary>Your code printed</summary><pre>{html.escape(result.printed)}</pre></details>"
    return box(color, title + message + printed)


class Note:
    """A message in a box."""

    def __init__(self, text: str, color: str = "#0072B2"):
        self.text, self.color = text, color

    def __repr__(self) -> str:
        return self.text.replace("`", "")

    def _repr_html_(self) -> str:
        return box(self.color, rich(self.text))


class Table:
    """The exercises of a lab with their outcomes, and notes below."""

    def __init__(self, lab: str, results: list[Result], notes: list[str]):
        self.lab, self.results, self.notes = lab, results, notes

    @property
    def total(self) -> str:
        points = sum(result.points for result in self.results)
        return f"{number(points)} of {sum(result.exercise.points for result in self.results)} points"

    def __repr__(self) -> str:
        rows = [f"  {SIGNS[r.outcome][0]} {r.exercise.id:6} {score(r):>5}  {r.exercise.title}: {r.outcome}" for r in self.results]
        return "\n".join([f"Lab {self.lab}: {self.total}", *rows, *(note.replace("`", "") for note in self.notes)])

    def _repr_html_(self) -> str:
        cells = "".join(
            f'<tr><td style="color:{SIGNS[r.outcome][1]}"><b>{SIGNS[r.outcome][0]}</b></td><td>{r.exercise.id}</td>'
            f'<td style="text-align:left">{rich(r.exercise.title)}</td><td style="text-align:left">{r.outcome}</td><td>{score(r)}</td></tr>'
            for r in self.results
        )
        head = '<tr><th></th><th></th><th style="text-align:left">exercise</th><th style="text-align:left">outcome</th><th>points</th></tr>'
        notes = "".join(f"<div>{rich(note)}</div>" for note in self.notes)
        return box("#0072B2", f"<b>Lab {self.lab}: {self.total}</b><table>{head}{cells}</table>{notes}")
