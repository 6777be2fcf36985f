"""Look-alikes: what is alike by copying is seen, and what is alike for good reasons is not."""

import pytest
from gradings import COURSE, RELEASED, SOLUTION, exercise, graded

from course.grader.alike import alike_answers, look_alikes
from course.grader.entries import entries_of

LONG = (
    RELEASED.partition("    # your")[0]
    + """    # walk around the circle in small steps
    total, step = 0.0, 1e-3
    angle = 0.0
    while angle < 2 * math.pi:
        total += r * r * step / 2
        angle += step
    if total < 0:
        raise ValueError("negative")
    return total
"""
)
OTHER = (
    RELEASED.partition("    # your")[0]
    + """    points = [(x / 100 * r, y / 100 * r) for x in range(-100, 101) for y in range(-100, 101)]
    inside = sum(1 for x, y in points if math.hypot(x, y) <= r)
    square = (2 * r) ** 2
    return square * inside / len(points)
"""
)


def alike(answers: dict[str, str]) -> list:
    return alike_answers(answers, RELEASED, SOLUTION)


def test_a_copy_with_other_names_comments_and_layout_is_seen():
    copy = (
        LONG.replace("total", "summe")
        .replace("angle", "winkel")
        .replace("# walk around the circle in small steps", "# meine Idee")
        .replace("\n    return", "\n\n    return")
    )
    assert alike({"Ana": LONG, "Bo": copy, "Cy": OTHER}) == [(("Ana", "Bo"), False)]
    assert alike({"Ana": LONG, "Bo": LONG + "\n", "Cy": OTHER}) == [(("Ana", "Bo"), True)]


def test_a_line_more_does_not_hide_a_copy():
    assert alike({"Ana": LONG, "Bo": LONG.replace("    return", "    print(total)\n    return")}) == [
        (("Ana", "Bo"), False)
    ]


def test_what_is_alike_for_good_reasons_is_not_seen():
    short = SOLUTION.replace("3.14159 * r * r", "math.pi * r ** 2")
    assert alike({"Ana": short, "Bo": short, "Cy": RELEASED, "Di": RELEASED, "Ed": SOLUTION, "Fe": SOLUTION}) == []
    assert alike({f"s{i}": LONG for i in range(50)}) == []  # the whole class: the plain way, or a lecture's
    long_solution = {name: LONG.replace("total", name) for name in ("Ana", "Bo")}
    assert alike_answers(long_solution, RELEASED, LONG) == []


def test_a_shared_comment_in_the_solutions_way_is_seen():
    text = LONG.replace("# walk around", "# as uncle Bob says, walk around")
    assert alike_answers({"Ana": text, "Bo": text, "Cy": LONG}, RELEASED, LONG) == [(("Ana", "Bo"), True)]


@pytest.mark.parametrize(
    "source",
    ["(" * 200_000, "'''" * 60_000, "-" * 200_000 + "1", "f'{" * 60_000, "\\" * 99_999, "\x00\ud800", "%%bash\nrm"],
)
def test_no_answer_breaks_the_comparison(source):
    assert alike({"Ana": source, "Bo": OTHER}) == []


def test_look_alikes_are_gathered_by_people():
    def pair(text):
        return [exercise("02.1", answer=text), exercise("02.2", answer=text.replace("area", "length"))]

    entries = entries_of(
        [graded("Bo", exercises=pair(LONG)), graded("Ana", exercises=pair(LONG)), graded("Cy", exercises=pair(OTHER))]
    )
    (group,) = look_alikes(entries, COURSE)
    assert group.students == ("Ana", "Bo") and group.exercises == (("02.1", True), ("02.2", True))
