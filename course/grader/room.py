"""The room that a student's code runs in: which files it sees, and bubblewrap's command line that shows it no others."""

import ast
import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What a lab's students build themselves, and so may not find when that lab is graded: module of `utils` -> names in it,
# or None for the whole module.
BUILT = {
    "07": {"training": None, "callbacks": ("Metrics", "Hooks")},
    "08": {"recipe": None, "models": ("SmallCNN",)},
    "09": {"transfer": None},
    "10": {"attribution": None},
    "11": {"mixed": None},
}


class SandboxError(Exception):
    """The grader's own fault or lack, never the student's; the message says what to do."""


# --------------------------------------------------------------------------------------------------------- the view

HIDDEN = '''"""This is what lab {lab} builds: it is not here while that lab is graded."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    class NotHere:
        def __init__(self, *args, **kwargs):
            raise NotImplementedError(f"`{{name}}` is what lab {lab} builds: the course's own is not here.")

    NotHere.__name__ = NotHere.__qualname__ = name
    return NotHere
'''


def without(source: str, names: tuple[str, ...], lab: str) -> str:
    """A module's source with some of its classes and functions cut out; asking for one of them is told why."""
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    for node in tree.body:
        if getattr(node, "name", None) in names:
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
            lines[start : node.end_lineno] = ["\n"] * (node.end_lineno - start)
    return "".join(lines) + "\n\n" + HIDDEN.format(lab=lab).split("\n\n\n", 1)[1]


def view(lab: str) -> dict[str, bytes]:
    """The course as a submission to this lab may see it: path -> content.

    `utils` without any judge and without what the lab builds, and of `course` what runs in the sandbox.
    """
    grader = ROOT / "course" / "grader"
    files = {f"course/grader/{name}": (grader / name).read_bytes() for name in ("confine.py", "wire.py", "worker.py")}
    files["course/__init__.py"] = files["course/grader/__init__.py"] = b""
    for path in sorted((ROOT / "utils").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith("utils/checks/"):
            files[name] = path.read_bytes()
    for path in (ROOT / "utils" / "weights").glob("*.safetensors"):
        files[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    for name in ("engine.py", "panel.py"):
        files[f"utils/checks/{name}"] = (ROOT / "utils" / "checks" / name).read_bytes()
    files["utils/checks/__init__.py"] = (grader / "sandbox_checks.py").read_bytes()
    for module, names in BUILT.get(lab, {}).items():
        name = f"utils/{module}.py"
        if name in files:
            whole = HIDDEN.format(lab=lab) if names is None else without(files[name].decode(), names, lab)
            files[name] = whole.encode()
    return files


def imported(lab: str) -> list[str]:
    """The modules that a lab's own notebook imports outside its demos."""
    names = []
    for path in (ROOT / "notebooks").glob(f"{lab}_*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code" and "demo" not in cell["metadata"].get("tags", ()):
                names += _imports_of("".join(cell["source"]))
    return list(dict.fromkeys(names))


def _imports_of(source: str) -> list[str]:
    with contextlib.suppress(SyntaxError):  # a line for IPython
        nodes = ast.parse(source).body
        plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        parts = [node for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
        return plain + [name for node in parts for name in (node.module, *(f"{node.module}.{a.name}" for a in node.names))]
    return []


def environment(scratch: str, course: str) -> dict[str, str]:
    """All that the sandbox's environment holds."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "PYTHONPATH": course,
        "LANG": "C.UTF-8",
        "LABS_GRADER": "1",
        "LABS_OFFLINE": "1",
        "LABS_FULL": "0",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",  # a set has the same order each time
        "PYTHONNOUSERSITE": "1",
        "PIP_NO_INDEX": "1",  # `!pip install …` fails at once, where it would try for long
    }


# ------------------------------------------------------------------------------------------------------- bubblewrap

SCRATCH, COURSE = "/scratch", "/course"  # in bubblewrap's view
BELOW_TMP = Path("/below-tmp")  # there lies what is shown of the machine's /tmp: the sandbox's own /tmp is its scratch folder
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/etc/alternatives", "/etc/fonts",
          "/etc/ld.so.cache", "/sys/devices/system/cpu")  # fmt: skip


def find_bubblewrap() -> str:
    """Its path. Raises SandboxError where it is missing, saying how to get it."""
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxError(
            "bubblewrap is missing, in which students' code is shut in. Install it (Debian, Ubuntu: sudo apt install bubblewrap; "
            "Fedora: sudo dnf install bubblewrap), or grade without any protection: --unsafe."
        )
    return path


def python_folders() -> set[Path]:
    """The folders that Python and the installed packages are in."""
    executable = Path(sys.executable)
    folders = {Path(sys.prefix), Path(sys.base_prefix), executable.parent, executable.resolve().parent.parent}
    folders |= {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve()}
    folders |= {Path(name) for name in sys.path if name.endswith(("site-packages", "dist-packages"))}
    return {folder for folder in folders if folder.is_dir()}


def installed_course(shown: set[Path]) -> set[Path]:
    """Where this course itself is installed as packages, judges and all."""
    places = {folder for folder in shown if folder.name.endswith("-packages")}
    places |= {place for folder in shown for place in folder.glob("lib*/python3*/*-packages")}
    marks = {"utils": "checks/engine.py", "course": "grader/sandbox.py", "labs_solutions": "", "tests": "mistakes"}
    return {place / name for place in places for name, mark in marks.items() if (place / name / mark).exists()}


def covers(shown: set[Path], hidden: set[Path]) -> set[Path]:
    """What must be covered: folders to hide that lie inside one that is shown."""
    return {path for path in hidden if path.exists() and any(folder in path.parents for folder in shown)}


def place(path: Path) -> Path:
    """Where a path of this machine lies in bubblewrap's view; one below /tmp is also found at its own name, by a link."""
    return BELOW_TMP / path.relative_to("/tmp") if Path("/tmp") in path.parents else path


def links() -> dict[str, str]:
    """The links that a scratch folder begins with, so that a Python below /tmp is found: name -> what it leads to."""
    names = {folder.relative_to("/tmp").parts[0] for folder in python_folders() if Path("/tmp") in folder.parents}
    return {f"{SCRATCH}/{name}": str(BELOW_TMP / name) for name in sorted(names)}


def bubblewrap(files: dict[str, int], scratch_bytes: int, hidden: set[Path]) -> list[str]:
    """bubblewrap's command line, but for the program that it runs.

    Args:
        files: path in the course -> descriptor of its content.
        hidden: folders that are covered where they lie inside Python's.
    """
    command = [find_bubblewrap(), "--die-with-parent", "--new-session", "--hostname", "sandbox", "--unshare-ipc",
               "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]  # fmt: skip
    if os.geteuid() != 0:
        command += ["--unshare-user", "--uid", "1000", "--gid", "1000"]
    else:  # the worker's first act is to be another user
        command += ["--cap-drop", "ALL", *(word for name in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{name}"))]
    shown = {Path(name) for name in SYSTEM if os.path.exists(name) and not os.path.islink(name)} | python_folders()
    for name in SYSTEM:
        if os.path.islink(name):
            command += ["--symlink", os.readlink(name), name]
    covered = covers(shown, hidden | {ROOT} | installed_course(shown))
    sources = {place(path): path for path in shown | covered}
    covered, shown = set(map(place, covered)), set(map(place, shown))
    targets = {*shown, *map(Path, files), Path("/etc/passwd")}
    between = {parent for path in targets for parent in path.parents} - shown
    for path in sorted(between - {parent for parent in between if any(folder in parent.parents for folder in shown)}):
        command += ["--perms", "0755", "--dir", str(path)]  # else bubblewrap makes them for their owner alone
    for path in sorted(shown | covered):  # a folder before what lies in it
        command += ["--size", "4096", "--tmpfs", str(path)] if path in covered else ["--ro-bind", str(sources[path]), str(path)]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--symlink", SCRATCH, "/tmp"]
    for folder in (SCRATCH, "/dev/shm"):
        command += ["--perms", "1777", "--size", str(scratch_bytes), "--tmpfs", folder]
    for name, target in links().items():
        command += ["--symlink", target, name]
    for name, descriptor in files.items():
        command += ["--perms", "0444", "--file", str(descriptor), name]
    for path in sorted(covered, reverse=True):
        command += ["--remount-ro", str(path)]
    return [*command, "--remount-ro", "/", "--chdir", SCRATCH]


PASSWD = b"student:x:%d:%d::/scratch:/bin/sh\n"
