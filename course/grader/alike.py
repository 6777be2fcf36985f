"""Look-alikes: students whose answers are the same, or nearly so, but for names, comments and layout."""

import builtins
import keyword
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from .entries import SHOWN, Lab, each, lab_in

TOKEN = re.compile(
    r"(?P<comment>\#[^\n]*)"
    r"|(?P<text>(?i:\b[rbfu]{1,2})?(?:\"\"\"[\s\S]*?(?:\"\"\"|\Z)|'''[\s\S]*?(?:'''|\Z)|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?))"
    r"|(?P<attribute>\.\s*[^\W\d]\w*)|(?P<name>[^\W\d]\w*)|(?P<other>\d[\w.]*|[^\w\s])"
)
KNOWN = {*keyword.kwlist, *dir(builtins), "self", "torch", "nn", "F", "np", "plt", "utils"}
WINDOW = 4  # tokens that are compared together
OWN = 25  # windows that are the student's own: a shorter answer is alike by chance
ALIKE = 0.8  # share of windows that two near-identical answers have in common


@dataclass(frozen=True)
class Alike:
    """Students whose answers to some exercises are near-identical."""

    students: tuple[str, ...]
    exercises: tuple[tuple[str, bool], ...]  # exercise, whether the answers are the same to the letter
    sample: str


def windows(source: str, names: Iterable[str] = ()) -> frozenset[tuple[str, ...]]:
    """What stays of an answer when comments, layout, texts and names of its own are taken away: its runs of tokens.

    Not by Python's parser: what students wrote may be no Python, or made to break it.

    Args:
        names: that are not the student's own.
    """
    keep, tokens = KNOWN | set(names), []
    for match in TOKEN.finditer(source[:SHOWN]):
        kind, text = match.lastgroup, match[0]
        if kind == "text":
            tokens.append('"')
        elif kind == "name":
            tokens.append(text if text in keep else "v")
        elif kind != "comment":
            tokens.append(re.sub(r"\s", "", text))
    return frozenset(zip(*(tokens[start:] for start in range(WINDOW))))


def _letters(source: str) -> str:
    return "".join(source.split())


def _comments(source: str) -> set[str]:
    return {_letters(match[0]) for match in TOKEN.finditer(source[:SHOWN]) if match.lastgroup == "comment"}


def _likeness(a: frozenset, b: frozenset) -> float:
    """The share of windows in common: from 0 to 1."""
    if min(len(a), len(b)) < ALIKE * max(len(a), len(b)):
        return 0.0  # it would be below ALIKE
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if a else 1.0


def _groups(forms: list[frozenset]) -> list[list[int]]:
    """The indices of the forms, those together that are alike, if only by way of others between them.

    Only those are compared that share one of their rarest windows, as two sets with a share of ALIKE in common must
    (prefix filtering), and that are not together already: in a class where all write alike that is few.
    """
    count = Counter(window for form in forms for window in form)
    rarest_first = sorted(count.items(), key=lambda pair: (pair[1], pair[0]))
    order = {window: place for place, (window, _) in enumerate(rarest_first)}
    owners: dict[tuple, list[int]] = defaultdict(list)
    group = [[index] for index in range(len(forms))]  # of each form the list that it is in
    for index, form in enumerate(forms):
        rare = sorted(form, key=order.__getitem__)[: len(form) - int(ALIKE * len(form) + 0.999) + 1]
        for other in dict.fromkeys(owner for window in rare for owner in owners[window]):
            if group[other] is not group[index] and _likeness(form, forms[other]) >= ALIKE:
                small, large = sorted((group[index], group[other]), key=len)
                large += small
                for moved in small:
                    group[moved] = large
        for window in rare:
            owners[window].append(index)
    return [sorted(together) for index, together in enumerate(group) if index == min(together)]


def alike_answers(
    answers: dict[str, str], released: str = "", solution: str = ""
) -> list[tuple[tuple[str, ...], bool]]:
    """Groups of students with near-identical answers to one exercise, and whether they are so to the letter.

    Left out: short answers, what equals the released text or the course's solution (but for the same comments, which
    nobody finds by chance), and what more than a tenth of the class writes alike: that is the plain way to write it.
    """
    names = re.findall(r"[^\W\d]\w*", released)
    solution = re.sub(r"^\s*### (BEGIN|END) SOLUTION.*$", "", solution, flags=re.MULTILINE)
    given, right = windows(released, names), windows(solution, names)
    by_letters = defaultdict(list)
    for student, answer in sorted(answers.items()):
        by_letters[_letters(answer)].append(student)
    known_letters, known_comments = {_letters(released), _letters(solution)}, _comments(released) | _comments(solution)
    texts = []  # (windows of their own, students, whether it is the solution's way)
    for letters, students in sorted(by_letters.items()):
        source = answers[students[0]]
        form = windows(source, names) - given
        usual = _likeness(form, right - given) >= ALIKE
        if letters not in known_letters and len(form) >= OWN and not (usual and _comments(source) <= known_comments):
            texts.append((form, students, usual))
    fresh = [index for index, (_, _, usual) in enumerate(texts) if not usual]
    groups = [[fresh[place] for place in group] for group in _groups([texts[index][0] for index in fresh])]
    groups += [[index] for index, (_, _, usual) in enumerate(texts) if usual]
    many, found = max(4, len(answers) // 10), []
    for group in groups:
        together = sorted(student for index in group for student in texts[index][1])
        if 1 < len(together) <= many:
            found.append((tuple(together), len(group) == 1))
        elif len(together) > many:
            found += [(tuple(texts[i][1]), True) for i in group if 1 < len(texts[i][1]) <= many]
    return found


def look_alikes(entries: dict, course: dict[str, Lab]) -> list[Alike]:
    """Near-identical answers of all exercises, a record for each group of students, the most striking first."""
    answers: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for student, lab, entry in each(entries):
        for item in entry.graded.exercises:
            if item.answer.strip():
                answers[lab, item.exercise][student] = item.answer
    found = defaultdict(list)
    for (lab, exercise), by_student in sorted(answers.items()):
        facts = lab_in(course, lab)
        texts = facts.released.get(exercise, ""), facts.solutions.get(exercise, "")
        for students, letters in alike_answers(by_student, *texts):
            found[students].append((exercise, letters, by_student[students[0]]))
    groups = []
    for students, hits in found.items():
        exercises = tuple((exercise, letters) for exercise, letters, _ in hits)
        groups.append(Alike(students, exercises, max((answer for _, _, answer in hits), key=len)))
    return sorted(groups, key=lambda one: (-len(one.exercises), -sum(same for _, same in one.exercises), one.students))
