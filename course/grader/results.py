"""What comes of grading: one `Graded` a submission, as a file of JSON that is there whole or not at all."""

import dataclasses
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

# Outcomes of an exercise beside those of a check (utils.checks.panel).
NOT_RUN = "not run"  # no points, and the message says why
FAULT = "fault of the grader"  # points are None: a person must look, it is never a zero


@dataclass
class ExerciseResult:
    """One exercise of one submission."""

    exercise: str  # "02.1"
    title: str
    points: float | None  # None: a fault of the grader
    max_points: int
    outcome: str
    message: str = ""  # what the student reads
    misconception: str = ""  # the message's first sentence, where it names one
    answer: str = ""  # the source of the student's own cell


@dataclass
class WrittenAnswer:
    """A written answer, to be graded by hand."""

    cell: str  # the id of its cell in the released notebook
    question: str  # Markdown of what was asked
    text: str


@dataclass
class Graded:
    """One submission, graded, or the reason why it could not be."""

    student: str
    lab: str  # "02"; "" where it is not known
    origin: str  # the path as the instructor knows it, inside a .zip file too
    exercises: list[ExerciseResult] = field(default_factory=list)
    written: list[WrittenAnswer] = field(default_factory=list)
    problem: str = ""  # one sentence: why it could not be read or run at all
    notes: list[str] = field(default_factory=list)  # sentences for the student: a cell that failed, a cell left out
    flags: dict[str, str] = field(default_factory=dict)  # for the instructor: "attack", "time-out", "fault", … -> a sentence
    unsafe: bool = False  # graded without a sandbox
    platform: str = ""  # "canvas 4711", "moodle 4711": the student's number there

    @property
    def points(self) -> float | None:
        """Of all exercises together; None where one has a fault of the grader."""
        points = [item.points for item in self.exercises]
        return None if None in points else sum(points)

    @property
    def max_points(self) -> int:
        return sum(item.max_points for item in self.exercises)

    def to_json(self) -> str:
        # In ASCII: half a surrogate pair, in a student's text or a file's name, could not be written otherwise.
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Graded":
        """Raises ValueError, KeyError or TypeError for a text that is not `to_json`'s."""
        values = json.loads(text)
        values["exercises"] = [ExerciseResult(**item) for item in values["exercises"]]
        values["written"] = [WrittenAnswer(**item) for item in values["written"]]
        return cls(**values)


def write(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, also after a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name[:40]}.{secrets.token_hex(8)}.part"
    try:
        with open(partial, "x", encoding="utf-8", newline="") as file:  # with the mode that any new file has here
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def update(path: Path, text: str) -> None:
    """Write a file unless it is there already."""
    if not path.exists() or path.read_bytes() != text.encode():
        write(path, text)
