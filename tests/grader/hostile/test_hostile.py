# ruff: noqa: E501
"""Hostile submissions, graded as one cohort with honest neighbours: nobody gains, nobody loses, nothing is left behind.

CI grades all of them by the forked template, and with fresh sandboxes those that try what the two do differently;
LABS_HOSTILE=all grades all of them with both.
"""

import copy
import ctypes
import functools
import gzip
import io
import json
import os
import re
import secrets
import select
import shutil
import socket
import stat
import sys
import sysconfig
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from attacks import ALL, ATTACKS, REPORT, ROOT, WRONG, Attack, filled

from course.grader import grade as grading
from course.grader import room, sandbox
from course.grader.grade import grade
from course.grader.results import FAULT, Graded
from utils import checks

LIMITS = sandbox.Limits(
    cell_seconds=4, check_seconds=2, memory=1 << 30, processes=32, file_bytes=8 << 20, scratch_bytes=32 << 20, reply_bytes=8 << 20
)
POINTS = {id: item.points for id, item in checks.exercises("02").items()}
HALF = ("02.1", "02.2", "02.3", "02.4")
NEIGHBOURS = {"alice": ALL, "mike": HALF, "zz-zoe": ()}
LARGEST_RESULT = 2_000_000  # bytes of one kept result

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")


# ------------------------------------------------------------------------------------------------------- the cohort


def text_of(attack: Attack, values: dict[str, str]) -> str:
    text = json.dumps(filled(attack.honest, attack.answers, attack.cell))
    for name, value in values.items():
        text = text.replace(f"__{name}__", value)
    return text


def plain_bytes(**changes) -> bytes:
    """An honest notebook (02.6), with something about it that is not as it should be."""
    return json.dumps(filled(("02.6",)) | changes).encode()


def with_cells(change) -> bytes:
    made = filled(("02.6",))
    change(made["cells"])
    return json.dumps(made).encode()


def own(cells: list[dict], id: str) -> dict:
    return next(one for one in cells if one["id"] == id)


def copied_id(cells: list[dict]) -> None:
    """A wrong answer under the id of an honest one, and an honest one under the id of another exercise."""
    cells.append(copy.deepcopy(own(cells, "exercise-02-6")) | {"source": WRONG["02.6"]})
    cells.append(copy.deepcopy(own(cells, "exercise-02-1")) | {"source": "check = 5.0"})


def flood_of_notes(cells: list[dict]) -> None:
    """The worker is made to call every error a text of two hundred thousand characters."""
    patch = """\
import sys
import gc
worker = next(f.__globals__ for f in gc.get_objects() if type(f) is type(lambda: 0) and f.__name__ == "serve" and "be_silent" in f.__globals__)
worker["text_of"] = lambda error: "x" * 190_000"""
    for number, source in enumerate([patch, *(f"1 / 0  # {n}" for n in range(60))]):
        cells.insert(4, {"cell_type": "code", "metadata": {}, "id": f"flood-{number}", "source": source})
    cells[4:65] = cells[64:3:-1]


# What a file holds that is no honest notebook, and what its student must read; points: at most those of 02.6.
FILES = {
    "copied-id": (with_cells(copied_id), ""),
    "source-a-dict": (with_cells(lambda cells: own(cells, "exercise-02-1").update(source={"__class__": "str", "x": [1]})), ""),
    "cells-of-all-kinds": (with_cells(lambda cells: cells.extend([None, 7, "x", [], {"cell_type": ["code"], "source": 5, "id": {}}])), "damaged"),
    "cells-a-dict": (plain_bytes(cells={"0": {}}), "no list of cells"),
    "metadata-a-list": (with_cells(lambda cells: [one.update(metadata=["x"], id=[1]) for one in cells]), ""),
    "id-a-path": (with_cells(lambda cells: cells.append(copy.deepcopy(own(cells, "exercise-02-6")) | {"id": "../../../alice"})), ""),
    "prototype": (plain_bytes(nbformat={"major": 9}, __proto__={"points": 99}, points=99), ""),
    "deep-json": (b'{"cells":' + b"[" * 200_000, "nested|breaks off"),
    "deep-metadata": (b'{"cells":[],"metadata":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}", "nested|breaks off"),
    "many-digits": (b'{"cells":[],"n":' + b"9" * 100_000 + b"}", "number"),
    "nan": (plain_bytes(nbformat=float("nan"), nbformat_minor=float("inf")), ""),
    "surrogate-cells": (with_cells(lambda cells: own(cells, "exercise-02-1").update(source="x = '\ud800'\nraise ValueError('\ud800\u202e\x00')")), ""),
    "nul-bytes": (with_cells(lambda cells: own(cells, "exercise-02-1").update(source="x = 1\x00\nimport os\x00")), ""),
    "not-utf8": (b'{"cells": ["\xff\xfe\xfa"]}', "not UTF-8"),
    "empty": (b"", "empty"),
    "many-cells": (json.dumps({"cells": [{"cell_type": "code", "source": "1"}] * 20_000}).encode(), "cells"),
    "many-values": (b'{"cells":[' + b"[]," * 6_000_000 + b"[]]}", "values"),
    "parser-bomb": (with_cells(lambda cells: own(cells, "exercise-02-1").update(source="x = " + "(" * 5000 + ")" * 5000 + "\ny = " + "-" * 300_000 + "1")), ""),
    "notes-from-many-cells": (
        with_cells(
            lambda cells: cells.extend(
                {"cell_type": "code", "metadata": {}, "id": f"c{n}", "source": f"raise ValueError('{n}' + 'x' * 10_000)"} for n in range(100)
            )
        ),
        "stopped",
    ),
    "notes-without-end": (with_cells(flood_of_notes), "stopped"),
    "huge-cell": (with_cells(lambda cells: own(cells, "exercise-02-1").update(source="x = '" + "a" * 3_000_000 + "'")), ""),
    "<img src=x onerror=alert(1)>": (plain_bytes(), ""),
    "<script>alert(1)<": (plain_bytes(), ""),
    "=cmd|' !A1'!A0": (plain_bytes(), ""),
    "{{ 7 * 7 }}{% raw %}": (plain_bytes(), ""),
    "con": (plain_bytes(), ""),
    "x" * 200: (plain_bytes(), ""),
    "new\nline,\"quoted\"": (plain_bytes(), ""),
    "\u202egnp.exe": (plain_bytes(), ""),
}


def archive(members: dict[str, bytes | str]) -> bytes:
    """A .zip file; a member whose content is a text is a symbolic link to it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if isinstance(content, str):
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            file.writestr(info, content)
    return data.getvalue()


def nested(depth: int, content: bytes) -> bytes:
    for _ in range(depth):
        content = archive({"x.zip": content})
    return content


def lying_zip() -> bytes:
    """Says that its notebook is ten bytes long."""
    data = bytearray(archive({"02_autograd.ipynb": plain_bytes()}))
    place = data.find(b"PK\x01\x02")
    data[place + 24 : place + 28] = (10).to_bytes(4, "little")
    return bytes(data)


def lay_strange_files(folder: Path, grades: Path) -> None:
    """Links, pipes, devices, folders and archives that are no submissions, or somebody else's."""
    zeros = bytes(300 << 20)
    (folder / "linker_02_autograd.ipynb").symlink_to(folder / "alice_02_autograd.ipynb")
    (folder / "seed-linker_02_autograd.ipynb").symlink_to(grades / "seed")
    (folder / "folder-linker").symlink_to("/etc")
    os.mkfifo(folder / "piper_02_autograd.ipynb")
    (folder / "dir_02_autograd.ipynb").mkdir()
    if os.geteuid() == 0:
        os.mknod(folder / "device_02_autograd.ipynb", stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(folder / "sock_02_autograd.ipynb"))
    full = json.dumps(filled(())).encode()
    (folder / "bomber_02_autograd.zip").write_bytes(archive({"02_autograd.ipynb": zeros}))
    (folder / "nester_02_autograd.zip").write_bytes(nested(12, full))
    (folder / "slipper_02_autograd.zip").write_bytes(
        archive({"../alice_02_autograd.ipynb": full, "../../../../../../hostile-mark": b"x", "/etc/hostile-mark": b"x",
                 "..\\..\\alice_02_autograd.ipynb": full, "alice/02_autograd.ipynb": full, "alice_02_autograd.ipynb": full})
    )  # fmt: skip
    (folder / "zip-linker_02_autograd.zip").write_bytes(archive({"02_autograd.ipynb": str(grades / "seed"), "alice_02_autograd.ipynb": "/etc/passwd"}))
    (folder / "liar_02_autograd.zip").write_bytes(lying_zip())
    (folder / "torn_02_autograd.zip").write_bytes(archive({"02_autograd.ipynb": full})[:-30])
    (folder / "gz_02_autograd.ipynb").write_bytes(gzip.compress(zeros))


# -------------------------------------------------------------------------------------------- traps, and what is left


class Traps:
    """Services that nobody may reach; `touched` says which were."""

    def __init__(self, folder: Path):
        self.abstract = f"hostile-{secrets.token_hex(8)}"
        self.path = os.path.join("/tmp", f"hostile-{secrets.token_hex(8)}")  # short enough for a socket's
        self.listening = {
            "TCP": self._bound(socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0)),
            "UDP": self._bound(socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", 0)),
            "UNIX": self._bound(socket.AF_UNIX, socket.SOCK_STREAM, self.path),
            "ABSTRACT": self._bound(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self.abstract),
        }
        if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
            self.listening["TCP6"] = self._bound(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0))

    @staticmethod
    def _bound(family, kind, address) -> socket.socket:
        one = socket.socket(family, kind)
        one.bind(address)
        if kind == socket.SOCK_STREAM:
            one.listen()
        return one

    def values(self) -> dict[str, str]:
        ports = {name: str(self.listening[name].getsockname()[1]) for name in ("TCP", "UDP")}
        port6 = str(self.listening["TCP6"].getsockname()[1]) if "TCP6" in self.listening else "9"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            try:
                one.connect(("192.0.2.1", 9))  # sends nothing; the address that the machine would use
                address = one.getsockname()[0]
            except OSError:
                address = "127.0.0.1"
        return ports | {"TCP6": port6, "UNIX": self.path, "ABSTRACT": self.abstract, "ADDRESS": address}

    def touched(self) -> list[str]:
        ready, _, _ = select.select(self.listening.values(), [], [], 0)
        return [name for name, one in self.listening.items() if one in ready]

    def close(self) -> None:
        for one in self.listening.values():
            one.close()
        Path(self.path).unlink(missing_ok=True)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def left_over(marker: str) -> list[str]:
    """Commands of processes that came from here, or hold the marker; Python's own helper of `multiprocessing` may stay."""
    mine = [command(pid) for pid in sandbox.descendants(os.getpid())[1:]]
    marked = [command(int(name)) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    return [one for one in mine if one and "resource_tracker" not in one] + [one for one in marked if marker in one and "pytest" not in one]


def stray_files() -> list[str]:
    """Files that an attack made outside its sandbox; all of them bear a mark."""
    places = ["/", "/tmp", "/etc", "/dev/shm", "/var/tmp", "/usr/local/bin", str(ROOT), str(ROOT / "utils"), str(Path.home()), os.getcwd(),
              sysconfig.get_path("purelib"), str(Path(sys.executable).parent), str(Path.home() / ".ipython/profile_default/startup")]  # fmt: skip
    found = [str(path) for place in places if os.path.isdir(place) for path in Path(place).glob("hostile-mark*")]
    return found + [path for path in (f"{sysconfig.get_path('purelib')}/{name}.py" for name in ("sitecustomize", "usercustomize")) if os.path.exists(path)]


def fingerprint(folder: Path) -> dict:
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[path.name] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


@dataclass
class Cohort:
    """A cohort that was graded, and what was seen of this machine then."""

    mode: str
    grades: Path
    graded: dict[str, Graded]
    left: list[str]
    touched: list[str]
    stray: list[str]
    untouched: bool
    temporary: list[str]
    seconds: float


def included(mode: str) -> list[Attack]:
    everything = mode == "fork" or os.environ.get("LABS_HOSTILE") == "all"
    return [attack for attack in ATTACKS if attack.both or everything]


@pytest.fixture(scope="session")
def cohorts():
    """mode -> its cohort: pytest would make a parametrized fixture anew for each set of parameters."""
    return {}


@pytest.fixture
def cohort(request, cohorts, tmp_path_factory, system_program):
    system_program("bwrap", "bubblewrap")
    if request.param not in cohorts:
        cohorts[request.param] = grade_all(request.param, tmp_path_factory.mktemp(f"hostile-{request.param}"))
    return cohorts[request.param]


def grade_all(mode: str, base: Path) -> Cohort:
    folder, grades, temporary = base / "submissions", base / "grades", base / "tmp"
    folder.mkdir()
    temporary.mkdir()
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: whoever outlives its parent becomes ours
    sleep, canary = f"31337.{secrets.randbelow(10**9)}", f"canary-{secrets.token_hex(8)}"
    traps = Traps(base)
    values = {"SUBMISSIONS": str(folder), "GRADES": str(grades), "ROOT": str(ROOT), "SLEEP": sleep, "CANARY": canary, **traps.values()}
    for attack in included(mode):
        (folder / f"{attack.name}_02_autograd.ipynb").write_text(text_of(attack, values))
    for name, honest in NEIGHBOURS.items():
        (folder / f"{name}_02_autograd.ipynb").write_text(json.dumps(filled(honest)))
    if mode == "fork" or os.environ.get("LABS_HOSTILE") == "all":
        for name, (content, _) in FILES.items():
            (folder / f"{name}_02_autograd.ipynb").write_bytes(content)
    lay_strange_files(folder, grades)
    before, started = fingerprint(folder), time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOSTILE_CANARY", canary)
        patch.setenv("TMPDIR", str(temporary))
        graded = grade(folder, grades, "02", limits=LIMITS, mode=mode, jobs=2)
    seen = Cohort(
        mode, grades, {one.student: one for one in graded}, left_over(sleep), traps.touched(), stray_files(),
        fingerprint(folder) == before, os.listdir(temporary), time.monotonic() - started,
    )  # fmt: skip
    print(f"{mode}: {len(graded)} submissions in {seen.seconds:.0f} s")
    traps.close()
    return seen


MODES = os.environ.get("HOSTILE_MODES", "fork,fresh").split(",")
EACH = [pytest.param(mode, attack, id=f"{mode}-{attack.name}") for mode in MODES for attack in included(mode)]
FILE_MODES = MODES if os.environ.get("LABS_HOSTILE") == "all" else ["fork"]
in_each_mode = pytest.mark.parametrize("cohort", MODES, indirect=True)


# ------------------------------------------------------------------------------------------------------------- the tests


def words(one: Graded) -> str:
    return "\n".join([one.problem, *one.notes, *(item.message for item in one.exercises)])


def gained(one: Graded, honest: tuple) -> dict[str, float | None]:
    """Points beyond those honestly earned, by exercise; None is a fault of the grader, which no submission may cause."""
    return {
        item.exercise: item.points
        for item in one.exercises
        if item.points is None or item.points > (POINTS[item.exercise] if item.exercise in honest else 0)
    }


@pytest.mark.parametrize(("cohort", "attack"), EACH, indirect=["cohort"])
def test_nothing_is_gained(cohort, attack):
    one = cohort.graded[attack.name]
    assert [item.exercise for item in one.exercises] == list(ALL)
    if attack.known:
        pytest.xfail(attack.known) if gained(one, attack.honest) else None
    assert gained(one, attack.honest) == {}
    assert FAULT not in {item.outcome for item in one.exercises} and "fault" not in one.flags
    points = {item.exercise: item.points for item in one.exercises}
    lost = [id for id in attack.honest if points[id] != POINTS[id]]
    assert not attack.keeps or not lost, words(one)


@pytest.mark.parametrize(("cohort", "attack"), EACH, indirect=["cohort"])
def test_the_student_is_told_and_an_attack_is_flagged(cohort, attack):
    one = cohort.graded[attack.name]
    assert re.search(attack.says, words(one)), words(one)
    assert "LOOT" not in words(one) and "called off" not in words(one)
    assert not attack.flag or attack.flag in one.flags, (one.flags, words(one)[:2000])
    assert len(one.to_json().encode()) < LARGEST_RESULT


@in_each_mode
@pytest.mark.parametrize("name", NEIGHBOURS)
def test_neighbours_have_what_they_earned(cohort, name):
    one = cohort.graded[name]
    assert {item.exercise: item.points for item in one.exercises} == {id: POINTS[id] * (id in NEIGHBOURS[name]) for id in ALL}
    assert (one.problem, one.notes, one.flags) == ("", [], {})
    assert not (cohort.grades / "feedback" / f"{name}.html").is_symlink()


@pytest.mark.parametrize("cohort", FILE_MODES, indirect=True)
@pytest.mark.parametrize("name", FILES)
def test_strange_notebooks(cohort, name):
    (student,) = {one for one in cohort.graded if one == name or (name not in cohort.graded and _letters(one) == _letters(name))}
    one = cohort.graded[student]
    assert gained(one, ("02.6",)) == {} and "fault" not in one.flags, words(one)
    assert re.search(FILES[name][1], words(one))
    assert len(one.to_json().encode()) < LARGEST_RESULT


def _letters(name: str) -> str:
    return "".join(char for char in name if char.isalnum())


@in_each_mode
def test_links_pipes_devices_and_archives_are_nobodys_grade(cohort):
    names = {"linker", "seed-linker", "piper", "dir", "device", "sock", "bomber", "nester", "slipper", "zip-linker", "liar", "torn", "gz"}
    for one in (cohort.graded[name] for name in names & set(cohort.graded)):
        assert gained(one, ("02.6",) if one.student == "liar" else ()) == {}
    assert not {"linker", "seed-linker", "piper", "dir", "device", "sock", "root"} & set(cohort.graded)
    text = (cohort.grades / "index.html").read_text()
    assert "It is a link" in text


@in_each_mode
def test_nothing_is_left_and_nothing_was_reached(cohort):
    assert cohort.left == [] and cohort.touched == [] and cohort.stray == [] and cohort.temporary == []
    assert cohort.untouched, "a file among the submissions was changed"


@in_each_mode
def test_only_results_are_among_the_grades(cohort):
    known = {"results", "feedback", "seed", ".lock", "counted.json", "grades.csv", "canvas.csv", "moodle_02.csv", "nbgrader.csv", "written.csv", "unplaced.csv", "index.html"}
    assert {path.name for path in cohort.grades.iterdir()} <= known
    assert all(re.fullmatch(r"[0-9a-f]{32}\.json", path.name) for path in (cohort.grades / "results").iterdir())
    assert all(path.suffix == ".html" and path.is_file() for path in (cohort.grades / "feedback").iterdir())
    assert all(path.stat().st_size < 5_000_000 for path in cohort.grades.rglob("*") if path.is_file() and path.name != "written.csv")


@in_each_mode
def test_pages_hold_no_markup_of_students(cohort):
    for path in [cohort.grades / "index.html", *(cohort.grades / "feedback").iterdir()]:
        assert not re.search(r"<(script|img|iframe|svg)\b", path.read_text(encoding="utf-8"), re.IGNORECASE), path.name


@pytest.mark.parametrize("place", ["/var/tmp", "/tmp"])
@pytest.mark.parametrize("mode", MODES)
def test_submissions_and_grades_inside_pythons_own_folder_are_covered(mode, place, request, monkeypatch, system_program):
    """As where the course, its venv and the submissions lie in one folder, which the sandbox shows for Python's sake."""
    system_program("bwrap", "bubblewrap")
    tmp_path = Path(tempfile.mkdtemp(dir=place))
    request.addfinalizer(functools.partial(shutil.rmtree, tmp_path))
    tmp_path.chmod(0o755)
    folder, grades = tmp_path / "submissions", tmp_path / "grades"
    folder.mkdir()
    grades.mkdir()
    (tmp_path / "shown").write_text("the sandbox shows this file")
    shown = room.python_folders() | {tmp_path}
    monkeypatch.setattr(room, "python_folders", lambda: shown)
    code = f"""{REPORT}
import os
loot = [path for path in ({str(folder)!r}, {str(grades)!r}) if os.path.exists(path) and os.listdir(path)]
assert os.path.exists({str(tmp_path / "shown")!r})
report(loot)"""
    (folder / "mallory_02_autograd.ipynb").write_text(json.dumps(filled((), cell=code)))
    try:
        (one,) = grade(folder, grades, "02", limits=LIMITS, mode=mode, executor=functools.partial(ThreadPoolExecutor, 1))
    finally:
        while grading._open:
            grading._open.popitem()[1].close()
    assert "EMPTY" in words(one), words(one)


BUFFERS = f"""{REPORT}
import socket
kept, total = [], 0
while total < 400 << 20:
    try:
        kept.append(socket.socketpair())
    except OSError:
        break
    for one in kept[-1]:
        one.setblocking(False)
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        except OSError:
            pass
        try:
            while True:
                total += one.send(bytes(65536))
        except BlockingIOError:
            pass
report([f"{{total >> 20}} MiB in the kernel"] if total > 256 << 20 else [])"""


def test_memory_in_the_kernel_counts_too(system_program):
    system_program("bwrap", "bubblewrap")
    limits = sandbox.Limits(cell_seconds=20, memory=256 << 20)
    with sandbox.Sandboxes("02", limits, MODES[0]) as boxes, boxes.new() as box:
        (ran,) = box.run_cells([{"id": "a", "source": BUFFERS}])
    assert "EMPTY" in ran["error"], ran["error"]
