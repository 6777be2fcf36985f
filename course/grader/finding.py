"""Which file is whose, and of which lab.

Who someone is follows from what the instructor or the platform named (the outer folders, the prefix of a file), never
from a name inside a student's own archive.
"""

import csv
import functools
import io
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import archives
from .archives import File, Unplaced
from .notebook import Unreadable, read_notebook
from .submission import lab_of, labs

MAX_NOTEBOOKS = 100  # of one student, in all labs together


class MappingError(ValueError):
    """What is wrong with the mapping file, and where."""


@dataclass(frozen=True)
class Found:
    """A notebook that is somebody's."""

    student: str
    lab: str  # "" where it is not known
    origin: str  # its path below the folder, through archives too
    path: Path = field(default=Path(), repr=False)
    members: tuple[int, ...] = field(default=(), repr=False)  # its place in the archive at `path`, and in those inside
    problem: str = ""  # why it cannot be read, where that is known
    platform: str = ""  # "canvas 4711", "moodle 4711": the number that the platform's own file name gives the student

    def read(self) -> bytes:
        """Its bytes. Raises Unreadable, with one sentence."""
        if self.problem:
            raise Unreadable(self.problem)
        return archives.read(self.path, self.members)


@dataclass(frozen=True)
class _Owned:
    """A file, and whose it is."""

    file: File
    student: str
    lab: str
    newest: tuple[int, ...]  # the platform's number, the copy's, seconds: the greatest of several counts
    depth: int = 0  # of the part that names the student: a name further out beats it, which no student can forge
    number: str = ""  # of the student on the platform
    platform: str = ""  # as in `Found`


def find(
    folder: Path | str, lab: str | None = None, mapping: Path | str | None = None
) -> tuple[list[Found], list[Unplaced]]:
    """The notebooks in a folder, each with its student and lab, and the files that could not be placed.

    Known layouts: files `NAME_02_autograd.ipynb`, a folder a student, nbgrader's `submitted/STUDENT/LAB/`, downloads of
    Moodle, Canvas and Blackboard, zip archives of any of these and inside them. Of several files of a student for one
    lab the newest counts: by the platform's number, by ` (1)` or `-1`, by time.

    Args:
        folder: with the submissions.
        lab: only this one, "02"; a file that names no lab and shows none is taken for it.
        mapping: a .csv file with the columns `file,student,lab`: file is an `origin`, or a folder or archive on the way
            to it; where student or lab is empty it is found as ever; student `-` leaves the file out.
    Raises:
        MappingError, ValueError: the mapping file, or the lab, is none.
    """
    if lab is not None and lab not in labs():
        raise ValueError(f"There is no lab {lab!r}; there are {', '.join(labs())}.")
    unplaced: list[Unplaced] = []
    rows = read_mapping(mapping)
    files = list(archives.files(Path(folder).resolve(), unplaced))
    said = {file.origin: _mapped(file, rows) for file in files}
    files = [file for file in files if said[file.origin][0] != "-"]
    unused = [key for key in rows if not any(_below(file.origin, key) for file in files) and rows[key][0] != "-"]
    unplaced += [Unplaced(key, "The mapping file names it, but there is no such file.") for key in unused]
    owned = _not_too_many(_owned(files, said, unplaced), unplaced)
    found, problems = [], {}
    for one in owned:
        if one.file.is_notebook:
            before, one = one, _with_lab(one, said[one.file.origin][1], lab, problems)
            if one.lab in (lab, "") or lab is None:
                found.append(one)
            elif lab == before.lab:
                reason = f"Its name says lab {lab}, and it holds the cells of lab {one.lab}."
                unplaced.append(Unplaced(one.file.origin, reason))
    return _chosen(found, owned, problems, unplaced), sorted(unplaced, key=lambda one: one.origin)


def _not_too_many(owned: list[_Owned], unplaced: list[Unplaced]) -> list[_Owned]:
    """All that is somebody's, but for the older notebooks of a student who has very many: to look into one takes time."""
    groups: dict[str, list[_Owned]] = defaultdict(list)
    for one in owned:
        if one.file.is_notebook and one.student:
            groups[one.student].append(one)
    too_many = set()
    for student, ones in groups.items():
        older = sorted(ones, key=lambda one: (-one.depth, *one.newest, one.file.origin))[:-MAX_NOTEBOOKS]
        too_many.update(one.file.origin for one in older)
        if older:
            reason = f"{student} has {len(ones):,} notebooks; this one and all but the newest {MAX_NOTEBOOKS} were not looked at."
            unplaced.append(Unplaced(older[0].file.origin, reason))
    return [one for one in owned if one.file.origin not in too_many]


_EXERCISE_ID = re.compile(rb'"id"\s*:\s*"exercise-(\d\d)-\d+"')


def named_otherwise(origin: str, lab: str) -> str:
    """A sentence, where a file's name says another lab than the one that it was taken for; else ""."""
    said = _lab_in(origin.rpartition("/")[2])[0]
    if said in ("", lab):
        return ""
    return f"The file's name says lab {said}; it holds the cells of lab {lab} and was graded as that."


def _with_lab(one: _Owned, said: str, wanted: str | None, problems: dict[str, str]) -> _Owned:
    """The lab as the mapping says, else the file's name, else its cells, else the one that is wanted."""
    if said:
        return replace(one, lab=said)
    try:
        raw = archives.read(one.file.path, one.file.members)
        if one.lab and wanted in (None, one.lab) and set(_EXERCISE_ID.findall(raw)) <= {one.lab.encode()}:
            return one
        seen = lab_of(read_notebook(raw)[0])
    except Unreadable as error:
        problems[one.file.origin] = str(error)
        seen = ""
    if one.lab:  # its name and its cells say two labs, or not the wanted one
        return replace(one, lab=seen if seen and wanted in (None, one.lab, seen) else one.lab)
    return replace(one, lab=seen or wanted or "")


def _chosen(notebooks: list[_Owned], owned: list[_Owned], problems: dict[str, str],
            unplaced: list[Unplaced]) -> list[Found]:  # fmt: skip
    """Of each student and lab the newest notebook; the rest is noted as unplaced."""
    groups: dict[tuple, list[_Owned]] = defaultdict(list)
    for one in _told_apart(notebooks):
        origin = one.file.origin
        if not one.student:
            reason = "Neither its name nor its folder says whose it is: say so in a mapping file."
            unplaced.append(Unplaced(origin, reason))
        elif not one.lab and origin not in problems:
            unplaced.append(Unplaced(origin, "It holds no cell of any lab: if it is one, say which in a mapping file."))
        else:
            groups[one.student, one.lab].append(one)
    chosen = []
    for (student, lab), ones in groups.items():
        *older, newest = sorted(ones, key=lambda one: (-one.depth, *one.newest, one.file.origin))
        file = newest.file
        chosen.append(Found(student, lab, file.origin, file.path, file.members, "" if lab else problems[file.origin],
                            newest.platform))  # fmt: skip
        reason = (
            f"{file.origin} counts for {student}; if this is the one, or another student's, say so in a mapping file."
        )
        unplaced += [Unplaced(one.file.origin, reason) for one in older]
    have = {one.student for one in notebooks} | {student for student, _ in groups}
    for one in owned:
        if not one.file.is_notebook and one.student and one.student not in have:
            reason = f"It is no notebook (.ipynb), and {one.student} has handed in none."
            unplaced.append(Unplaced(one.file.origin, reason))
    return sorted(chosen, key=lambda one: (one.lab, one.student, one.origin))


def _told_apart(ones: list[_Owned]) -> list[_Owned]:
    """Students of one name with the platform's number added, where the numbers show that they are several."""
    numbers = defaultdict(set)
    for one in ones:
        if one.number:  # Moodle counts anew in each assignment
            numbers[one.student, one.lab if one.platform.startswith("moodle") else ""].add(one.number)
    several = {student for (student, _), those in numbers.items() if len(those) > 1}
    return [
        replace(one, student=f"{one.student} {one.number}") if one.student in several and one.number else one
        for one in ones
    ]


# -- names

# Moodle's mod/assign/classes/downloader.php; Canvas's lib/content_zipper.rb; Blackboard as nbgrader's manual shows it.
_MOODLE = re.compile(r"(?P<student>.+?)(?:_(?P<number>\d+))?_assignsubmission_[a-z]+(?:_(?P<rest>.*))?")
_CANVAS = re.compile(r"(?P<student>\w+?)(?:_(?:LATE|late))?_(?P<number>\d+)_(?P<stamp>\d{3,})_(?P<rest>.+)")
_CANVAS_ANONYMOUS = re.compile(r"(?:LATE_)?(?P<student>anon)_(?P<number>[A-Za-z0-9]+)_(?P<stamp>\d{3,})_(?P<rest>.+)")
_BLACKBOARD = re.compile(r"(?P<task>.+)_(?P<student>[^_]+)_attempt_(?P<stamp>\d{4}(?:-\d\d){5})(?:_(?P<rest>.+))?")

_COPY = re.compile(
    r"^(?:copy of|copy_of_|kopie von|copie de|copia de)[ _]*|[ _-]*(?<![^\W_])copy ?\d*$|[ _]*\((?P<number>\d{1,3})\)$",
    re.I,
)
_NUMBERED = re.compile(r"[ _-]*\(?(\d{1,3})\)?")
_ENDING = r"final|finished|done|solutions?|solved|answers?|submission|v\d{1,2}"
_TAIL = re.compile(rf"(?:[ _.-]+(?:{_ENDING}))+$", re.I)
_NOISE = re.compile(rf"(?:(?:{_ENDING}|untitled\d*|notebook[^\W_]*|student|version|new|my|copy)(?:[ _.-]+|$))+", re.I)
_GENERIC = re.compile(
    r"(?:submitted|submissions?|downloads?|archives?|all|late|assignments?|hand[ _-]?ins?|notebooks?|labs?|homeworks?"
    r"|inbound|collected|students?|moodle|canvas|blackboard)\d*|.*[ _-]submissions|submissions[ _-].*",
    re.I,
)


@functools.cache
def _lab_patterns() -> dict[str, re.Pattern]:
    gap = "[ _.-]*"
    patterns = {}
    for lab, name in labs().items():
        words = gap.join(map(re.escape, name.split("_")[1:]))
        named = rf"(?:lab{gap})?(?:0?{int(lab)}{gap}{words}|lab{gap}0?{int(lab)})"
        patterns[lab] = re.compile(rf"(?<![^\W_]){named}(?![^\W_])", re.I)
    return patterns


def _lab_in(text: str) -> tuple[str, str, str]:
    """(lab, text before its name, text after it); ("", text, "") where it names none, or two."""
    found = {lab: match for lab, pattern in _lab_patterns().items() if (match := pattern.search(text))}
    if len(found) != 1:
        return "", text, ""
    [(lab, match)] = found.items()
    return lab, text[: match.start()], text[match.end() :]


def _of_stem(stem: str) -> tuple[str, str, int]:
    """(lab, student's name, number of the copy) as the name of a file says; "", "" and 0 where it does not."""
    number = 0
    while match := _COPY.search(stem):
        number = max(number, int(match["number"] or 0))
        stem = stem[: match.start()] + stem[match.end() :]
    lab, before, after = _lab_in(stem)
    if lab and (match := _NUMBERED.fullmatch(after)):
        number, after = max(number, int(match[1])), ""
    names = (_TAIL.sub("", part).strip(" _.-,") for part in (before, after))
    return lab, next((name for name in names if name and not _NOISE.fullmatch(name)), ""), number


def _of_platform(file: File) -> _Owned | None:
    """Whose a file is, where a learning platform named it or a folder on the way. The outermost name is the platform's."""
    for place, part in enumerate(file.parts):
        for pattern in (_MOODLE, _CANVAS_ANONYMOUS, _CANVAS, _BLACKBOARD):
            if match := pattern.fullmatch(part):
                groups = match.groupdict()
                own = groups.get("rest") or part if place == len(file.parts) - 1 else file.parts[-1]
                lab, _, copy = _of_stem(replace(file, parts=(own,)).stem)
                stamp = int(re.sub(r"\D", "", groups.get("stamp") or "") or 0)
                student = _tidy(groups["student"])
                number = groups.get("number") or ""
                name = {_MOODLE: "moodle", _CANVAS: "canvas"}.get(pattern)
                platform = f"{name} {number}" if name and number else ""
                if student.casefold() == "participant" or student == "anon":
                    student, number = f"{student} {number}", ""
                newest = stamp, copy, file.modified
                lab = lab or _lab_around(file)
                return _Owned(file, student, lab, newest, place, number, platform)
    return None


def _tidy(name: str) -> str:
    """A name as it is kept: one form of its accents, no control characters, no strange spaces."""
    name = "".join(char if char.isprintable() else " " for char in unicodedata.normalize("NFC", name))
    return " ".join(name.split()).strip(" _.-,")


def _owned(files: list[File], said: dict[str, tuple[str, str]], unplaced: list[Unplaced]) -> list[_Owned]:
    """Whose each file is: as the mapping says, as its platform says, else by the layout of the rest."""
    owned, rest = [], []
    named = {file.origin: _of_platform(file) for file in files}
    doubtful = _doubtful(files, named)
    for file in files:
        student, _ = said[file.origin]
        one = named[file.origin]
        if file.origin in doubtful and not student:
            reason = "It is named as a learning platform names files, among folders that are not: say whose it is in a mapping file."
            unplaced.append(Unplaced(file.origin, reason))
        elif student:
            lab, _, copy = _of_stem(file.stem)
            one = one or _Owned(file, "", lab, (0, copy, file.modified))
            owned.append(replace(one, student=student, number="", platform="", depth=-1))
        elif one:
            owned.append(one)
        else:
            rest.append(file)
    return owned + _by_layout(rest)


def _doubtful(files: list[File], named: dict[str, _Owned | None]) -> set[str]:
    """Files with a platform's name whose owner may have made it up.

    They lie in a folder or archive with fewer students of a platform than it has neighbours with none: among students'
    own folders it is one of these, and not a platform's download beside some late submissions.
    """
    leads = defaultdict(lambda: defaultdict(set))  # folder -> entry -> the students that platforms name at it or below
    for file in files:
        if file.is_notebook:
            for place, part in enumerate(file.parts):
                leads[file.parts[:place]][part].update({named[file.origin].student} if named[file.origin] else ())
    plain = {folder: sum(not students for students in entries.values()) for folder, entries in leads.items()}

    def is_doubtful(one: _Owned) -> bool:
        outer = [(one.file.parts[:place], one.file.parts[place]) for place in range(one.depth)]
        return any(len(leads[folder][entry]) < plain.get(folder, 0) for folder, entry in outer)

    return {origin for origin, one in named.items() if one and is_doubtful(one)}


def _by_layout(files: list[File]) -> list[_Owned]:
    """Whose each file is, by the names of folders and files: the outermost name is the student's, unless it holds many."""
    ones, names = [], []
    for file in files:
        lab, own, copy = _of_stem(file.stem)
        those = []
        for depth, part in enumerate(file.parts[:-1]):
            named, before, after = _lab_in(part)
            name = before.strip(" _.-,") or after.strip(" _.-,")
            name = _tidy(_TAIL.sub("", name) if named else name)  # a folder lee_v2 may be another student's than lee_v1
            those += [(name, depth)] if name and not _GENERIC.fullmatch(name) else []
        if own := _tidy(own):
            those.append((own, len(file.parts) - 1))
        ones.append(_Owned(file, "", lab or _lab_around(file), (0, copy, file.modified)))
        names.append(those)
    told = [
        (one.lab, [name for name, _ in those]) for one, those in zip(ones, names, strict=True) if one.file.is_notebook
    ]
    level = 0
    while _holds_many(told, level):
        level += 1
    for place, those in enumerate(names):
        if those:
            student, depth = those[min(level, len(those) - 1)]
            ones[place] = replace(ones[place], student=student, depth=depth)
    return ones


def _lab_around(file: File) -> str:
    """The lab that the nearest folder names, of those that name one."""
    return next((lab for part in reversed(file.parts[:-1]) if (lab := _lab_in(part)[0])), "")


def _holds_many(notebooks: list[tuple[str, list[str]]], level: int) -> bool:
    """Whether most names at a level stand for several students: each has notebooks of one lab under several names.

    Most, and not some: else one student could make a folder in the name of another.
    """
    below = defaultdict(lambda: defaultdict(set))
    for lab, names in notebooks:
        if len(names) > level:
            below[tuple(names[: level + 1])][lab].add(names[level + 1] if len(names) > level + 1 else "")
    if len(below) == 1:  # one folder around all, perhaps another one in it
        those = set().union(*next(iter(below.values())).values())
        return "" not in those and (len(those) > 1 or _holds_many(notebooks, level + 1))
    many = [any(len(those) > 1 and "" not in those for those in by_lab.values()) for by_lab in below.values()]
    return sum(many) > len(many) / 2


# -- the mapping file


def read_mapping(path: Path | str | None) -> dict[str, tuple[str, str]]:
    """A mapping file: {file: (student, lab)}.

    Raises:
        MappingError: with the line.
    """
    if path is None:
        return {}
    name = Path(path).name
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(
            f"The mapping file {name} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from None
    header = text.partition("\n")[0]
    lines = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=header.count))
    if not {"file", "student", "lab"} <= set(lines.fieldnames or ()):
        raise MappingError(f"The first line of {name} must name the columns: file,student,lab.")
    rows = {}
    for row in lines:
        file, student, lab = (_unguarded((row[key] or "").strip()) for key in ("file", "student", "lab"))
        lab = lab.zfill(2) if lab else ""
        lab = next((number for number, full in labs().items() if lab in (number, full)), None) if lab else ""
        if lab is None:
            raise MappingError(
                f"{name}, line {lines.line_num}: there is no lab {row['lab']}; there are {', '.join(labs())}."
            )
        if file:
            rows[file.replace("\\", "/").rstrip("/")] = (_tidy(student) if student != "-" else "-", lab)
    return rows


def _unguarded(text: str) -> str:
    """A cell of a table without the mark that keeps a spreadsheet from taking it for a formula."""
    return text[1:] if re.match(r"'+\s*[=+\-@＝＋－＠]", text) else text


def _below(origin: str, key: str) -> bool:
    return origin == key or origin.startswith(f"{key}/")


def _mapped(file: File, rows: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """(student, lab) of the longest path in the mapping that leads to a file; "" for what it does not say."""
    keys = [key for key in rows if _below(file.origin, key)]
    return rows[max(keys, key=len)] if keys else ("", "")
