"""Results of a grading, for the tests of what is made from them."""

import csv
import io

from course.grader.entries import Lab
from course.grader.results import ExerciseResult, Graded

RELEASED = 'def area(r: float) -> float:\n    """Area of a circle of radius r."""\n    # your code here\n    raise NotAttempted("02.1")'
SOLUTION = RELEASED.partition("    # your")[0] + "    return 3.14159 * r * r"
COURSE = {
    "02": Lab("02", "02_autograd", "Autograd", {"02.1": RELEASED}, {"02.1": SOLUTION}),
    "03": Lab("03", "03_data", "Data"),
}
NAMES = [
    "Ana", "ana", "<script>alert(1)</script>", "a/b/../c", "", " ", "N" * 300, "مريم", "con", "\ud800", "=1+1",
    "a\x00b",
]  # fmt: skip


def exercise(id="02.1", points=2.0, outcome="correct", **others) -> ExerciseResult:
    return ExerciseResult(id, "Area", points, 2, outcome, **others)


def graded(student="Ana", lab="02", exercises=None, **others) -> Graded:
    made = [exercise(f"{lab}.1")] if exercises is None else exercises
    return Graded(student, lab, others.pop("origin", f"{student}/{lab}.ipynb"), made, **others)


def table(text: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def files(folder) -> dict:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
