"""The sandbox: each of its promises is tried by hostile code, and found kept, in both of its modes."""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
import torch

from course.grader import notebook, room, sandbox, wire
from course.grader.room import SandboxError
from course.grader.sandbox import Ended, Limits, Sandboxes
from utils import checks
from utils.checks import engine

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
TIGHT = Limits(cell_seconds=20, check_seconds=6, memory=512 * MIB, processes=24, cpu_seconds=60, file_bytes=8 * MIB,
               scratch_bytes=16 * MIB, reply_bytes=4 * MIB)  # fmt: skip


@pytest.fixture(scope="module", params=["fork", "fresh"])
def boxes(request, system_program):
    system_program("bwrap", "bubblewrap")
    with Sandboxes("07", TIGHT, request.param) as boxes:
        yield boxes


@pytest.fixture
def box(boxes):
    with boxes.new() as box:
        yield box


PROBE = "def probe(student):\n    return {'seen': student.seen}\n"
QUESTION = {"id": "00.1", "needs": ["seen"], "probe": PROBE, "inputs": {}}


def run(box, source: str) -> str | None:
    """Run one cell; its error, or None."""
    return box.run_cells([{"id": "cell", "source": textwrap.dedent(source)}])[0]["error"]


def see(box, source: str):
    """Run a cell that defines `seen`, and bring it out."""
    error = run(box, source)
    assert error is None, error
    return box.ask(QUESTION)["evidence"]["seen"]


def alive(needle: bytes) -> list[str]:
    """Processes of this machine that have a text in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if needle in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


# ---------------------------------------------------------------------------------------------- honest work comes home


def test_an_exercise_is_judged_as_in_a_notebook(boxes):
    item = checks.exercises("02")["02.1"]
    right = "import torch\ndef sigmoid_grad(x):\n    s = torch.sigmoid(x)\n    return s * (1 - s)\n"
    with boxes.new() as box:
        assert run(box, right) is None
        assert engine.run(item, box.ask, seed=3).outcome == "correct"
    with boxes.new() as box:
        assert run(box, "") is None
        assert engine.run(item, box.ask, seed=3).outcome == "not attempted"


def test_a_cell_that_fails_does_not_stop_the_rest(box):
    cells = ["a = 1", "raise ValueError('no <b>', a)", "1 +", "import sys; sys.exit(3)", "exit()",
             "raise KeyboardInterrupt", "seen = a + 1"]  # fmt: skip
    done = box.run_cells([{"id": str(i), "source": source} for i, source in enumerate(cells)])
    errors = [entry["error"] and entry["error"].split(":")[0] for entry in done]
    assert errors == [None, "ValueError", "SyntaxError", "SystemExit", None, "KeyboardInterrupt", None]
    assert [entry["id"] for entry in done] == list("0123456")
    assert box.ask(QUESTION)["evidence"]["seen"] == 2


@pytest.mark.parametrize("char", [",", "\U0001f600"])
def test_all_the_code_that_a_notebook_may_have_can_be_one_cell(box, char):
    source = 'text = "' + char * (notebook.MAX_CODE - 40) + '"\nseen = len(text)'
    assert see(box, source) == notebook.MAX_CODE - 40


def test_magics_and_shell_lines_work(box):
    source = "%matplotlib inline\n%load_ext autoreload\n!pip install numpy -q\nlines = !echo hello\n%time seen = list(lines)"
    assert see(box, source) == ["hello"]


def test_what_a_notebook_may_use_is_there(box):
    source = """
    import matplotlib.pyplot as plt, subprocess, tempfile, socket, torch, os
    from torch.utils.data import DataLoader, TensorDataset
    from utils import callbacks, data, plotting, runtime, training
    from utils.checks import check, mine_or_reference
    plt.plot([1, 2]); plt.savefig("figure.png"); plt.show(); print("x" * 10_000_000)
    loader = DataLoader(TensorDataset(torch.arange(6)), batch_size=2, num_workers=2)
    with tempfile.TemporaryFile() as file, socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()):
            file.write(b"x")
    open("/tmp/mine", "w").write("x")
    check("07.1")
    seen = [os.getcwd(), sum(len(x) for x, in loader), os.path.exists(os.path.expanduser("~/figure.png")),
            data.mnist(full=False).train_images.shape[0], mine_or_reference("07.1", 5), subprocess.run(["true"]).returncode]
    """
    assert see(box, source) == ["/scratch", 6, True, 4000, 5, 0]


# ------------------------------------------------------------------------------------------------------- what is seen


def test_no_judge_no_answer_and_no_test_is_in_the_view(box):
    source = """
    import os, sys
    seen = []
    for top in ("/course", "/work", "/home", "/root", "/scratch", "/etc", "/dev", "/mnt"):
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if os.path.join(folder, name) not in (sys.prefix, sys.base_prefix)]
            seen += [os.path.join(folder, name) for name in files if name.endswith((".py", ".pyc", ".ipynb"))]
    for place in sys.path:
        if place.endswith("-packages"):
            seen += [name for name in ("utils", "course", "labs_solutions", "tests") if name in os.listdir(place)]
    """
    assert set(see(box, source)) == {f"/course/{name}" for name in room.view("07") if name.endswith(".py")}


def test_a_course_that_is_installed_among_pythons_packages_is_covered(tmp_path):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    (packages / "utils" / "checks").mkdir(parents=True)
    (packages / "utils" / "checks" / "engine.py").touch()
    assert room.covers({tmp_path}, room.installed_course({tmp_path})) == {packages / "utils"}
    (packages / "utils" / "checks" / "engine.py").unlink()  # somebody else's package of that name
    assert room.installed_course({tmp_path}) == set()


@pytest.mark.parametrize("mode", ["fork", "fresh"])
def test_a_python_below_tmp_is_shown_and_tmp_is_the_students_own(system_program, monkeypatch, mode):
    system_program("bwrap", "bubblewrap")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder, others = Path(name, "venv"), Path(name, "other")
        for path in (folder, others):
            path.mkdir()
            (path / "here.txt").write_text("x")
        os.chmod(name, 0o755)
        python = room.python_folders() | {folder}
        monkeypatch.setattr(room, "python_folders", lambda: python)
        source = f"""
        import os, tempfile
        open("/tmp/mine", "w").write("x")
        seen = [open("{folder}/here.txt").read(), os.path.exists("{others}"), os.path.exists("/scratch/mine")]
        try:
            open("{folder}/here.txt", "w")
        except OSError as error:
            seen.append(error.strerror)
        """
        with Sandboxes("01", TIGHT, mode) as boxes, boxes.new() as box:
            assert see(box, source) == ["x", False, True, "Read-only file system"]


def test_the_checkout_and_homes_are_not_there(box):
    paths = [str(ROOT / "labs_solutions"), str(ROOT / "tests"), str(ROOT / "pyproject.toml"), str(Path.home() / ".bashrc"),
             "/etc/shadow", "/var", "/run", "/mnt", "/opt", "/srv"]  # fmt: skip
    assert see(box, f"import os\nseen = [p for p in {paths} if os.path.exists(p)]") == []


def test_what_the_graded_lab_builds_is_not_there(box):
    source = """
    import inspect, utils.training, utils.callbacks
    texts = [inspect.getsource(utils.training), inspect.getsource(utils.callbacks)]
    seen = ["def fit(" in texts[0], "class Metrics" in texts[1], "class Hooks" in texts[1], "class Device" in texts[1]]
    try:
        utils.training.Learner()
    except NotImplementedError as error:
        seen.append(str(error))
    """
    assert see(box, source) == [False, False, False, True, "`Learner` is what lab 07 builds: the course's own is not here."]


@pytest.mark.parametrize("lab", sorted(room.BUILT))
def test_every_module_of_the_view_still_imports(lab):
    """Cutting a name out of a module must not break the rest of it."""
    for name, content in room.view(lab).items():
        if name.endswith(".py"):
            compile(content, name, "exec")
        assert "checks/lab_" not in name and not name.startswith("course/build")


def test_the_environment_is_empty_but_for_the_graders_own(box, monkeypatch):
    seen = see(box, "import os\nseen = dict(os.environ)")
    set_by_imports = {"PWD", "COLUMNS", "LINES", "KMP_INIT_AT_FORK", "KMP_DUPLICATE_LIB_OK", "TORCHINDUCTOR_CACHE_DIR"}
    assert set(seen) - set_by_imports <= set(room.environment("", ""))
    assert seen["LABS_GRADER"] == "1" and seen["HOME"] == "/scratch"


def test_nothing_can_be_written_but_scratch(box):
    source = """
    import os, sys, torch
    seen = []
    folders = ["/", "/course", "/course/utils", "/usr", "/etc", "/dev", "/proc", "/sys", sys.prefix, sys.base_prefix]
    for folder in [*folders, os.path.dirname(torch.__file__)]:
        try:
            open(folder + "/written", "w").close()
            seen.append(folder)
        except OSError:
            pass
    for name in ("/course/utils/checks/engine.py", "/etc/passwd", torch.__file__):
        try:
            os.chmod(name, 0o777), open(name, "a").close()
            seen.append(name)
        except OSError:
            pass
    """
    assert see(box, source) == []


# --------------------------------------------------------------------------------------------------------- what is had


CALLS = {
    "a user namespace": "libc.unshare(0x10000000)",
    "a mount namespace": "libc.unshare(0x00020000)",
    "a namespace by clone": "libc.clone(0, 0, 0x10000000 | 17, 0)",
    "another's namespace": "libc.setns(0, 0)",
    "a mount": "libc.mount(b'none', b'/scratch', b'tmpfs', 0, None)",
    "what /proc is covered with": "libc.umount2(b'/proc', 2)",
    "another root": "libc.chroot(b'/scratch')",
    "root": "libc.setuid(0)",
    "another process": "libc.ptrace(16, os.getppid(), 0, 0)",
    "memory that no limit counts": "libc.memfd_create(b'x', 0)",
    "System V memory": "libc.shmget(0, 1 << 20, 0o1600)",
    "io_uring": "libc.syscall(425 if x86 else 425, 8, 0)",
    "the user's keyring": "libc.syscall(250 if x86 else 219, 0, -4, 1)",
    "the x32 numbers": "libc.syscall(0x40000000 + 39) if x86 else -1",
}


def test_system_calls_that_lead_out_are_refused(box):
    calls = "".join(f"seen[{name!r}] = {call}\n" for name, call in CALLS.items())
    seen = see(box, "import ctypes, os\nlibc, x86, seen = ctypes.CDLL(None), os.uname().machine == 'x86_64', {}\n" + calls)
    assert seen == dict.fromkeys(CALLS, -1)


def test_it_holds_no_privilege(box):
    source = """
    import ctypes, struct
    header, data = struct.pack("=Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    ctypes.CDLL(None).capget(header, data)
    libc = ctypes.CDLL(None)
    seen = [sum(data.raw), libc.prctl(39, 0, 0, 0, 0), libc.prctl(21, 0, 0, 0, 0), any(libc.prctl(23, c, 0, 0, 0) == 1 for c in range(41))]
    """
    assert see(box, source) == [0, 1, 2, False]  # no_new_privs, a seccomp filter, an empty bounding set


def test_no_network(box):
    source = """
    import socket
    seen = []
    v4, v6, vsock = socket.AF_INET, socket.AF_INET6, 40
    for family, address in ((v4, ("192.0.2.1", 80)), (v4, ("127.0.0.53", 53)), (v6, ("2001:db8::1", 80)), (vsock, (2, 1024))):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as s:
                s.settimeout(2)
                s.connect(address)
                seen.append("connected")
        except OSError as error:
            seen.append("refused")
    try:
        socket.getaddrinfo("pypi.org", 443)
        seen.append("resolved")
    except OSError:
        seen.append("refused")
    seen.append([name for _, name in socket.if_nameindex()])
    """
    assert see(box, source) == ["refused"] * 5 + [["lo"]]


def test_no_process_but_its_own_is_seen_or_reached(box):
    source = """
    import os, signal
    seen = [p for p in os.listdir("/proc") if p.isdigit() and b"course.grader.worker" not in open(f"/proc/{p}/cmdline", "rb").read()]
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    for pid in (0, -1):
        try:
            os.kill(pid, signal.SIGUSR1)
        except OSError:
            pass
    """
    seen = see(box, source)
    assert len(seen) <= 1  # bubblewrap's own first process
    assert box.ask(QUESTION)["evidence"]["seen"] == seen, "something that the code signalled has ended"


def test_a_signal_to_all_ends_only_itself(boxes):
    template = boxes.template
    with boxes.new() as box:
        with pytest.raises(Ended) as ended:
            source = """
            import os
            for pid in (0, -1, os.getppid(), os.getpid()):
                try:
                    os.kill(pid, 9)
                except OSError:
                    pass
            os._exit(9)
            """
            run(box, source)
        assert ended.value.kind == "died"
    assert boxes.template is template, "the template was hit"
    with boxes.new() as box:
        assert see(box, "seen = 1") == 1
    assert boxes.template is template, "the template was hit"


# ------------------------------------------------------------------------------------------------------------- limits


def ends(box, source: str) -> Ended:
    with pytest.raises(Ended) as ended:
        box.run_cells([{"id": "fine", "source": "a = 1"}, {"id": "deadly", "source": textwrap.dedent(source)}])
    assert ended.value.cell == "deadly"
    with pytest.raises(Ended):  # and it stays so
        box.ask(QUESTION)
    return ended.value


@pytest.mark.parametrize("source", [
    "while True: pass",
    "import time; time.sleep(1e6)",
    "import os, time; os.closerange(3, 200); time.sleep(1e6)",
    "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
])  # fmt: skip
def test_endless_code_is_ended(boxes, source):
    boxes.limits = Limits(**{**vars(TIGHT), "cell_seconds": 1.5})
    try:
        with boxes.new() as box:
            start = time.monotonic()
            assert ends(box, source).kind in ("time", "died")
            assert time.monotonic() - start < 6
    finally:
        boxes.limits = TIGHT


def test_a_question_has_a_time_of_its_own(boxes):
    boxes.limits = Limits(**{**vars(TIGHT), "check_seconds": 1})
    try:
        with boxes.new() as box:
            run(box, "seen = 1")
            with pytest.raises(Ended, match="more than 1 s") as ended:
                box.ask(QUESTION | {"probe": "def probe(student):\n    while True: pass\n"})
            assert ended.value.kind == "time" and ended.value.cell is None
    finally:
        boxes.limits = TIGHT


@pytest.mark.parametrize("source", ["import os; os._exit(0)", "import ctypes; ctypes.string_at(0)", "import os; os.abort()",
                                    "import os; os.execv('/bin/true', ['true'])"])  # fmt: skip
def test_a_process_that_ends_itself(box, source):
    assert ends(box, source).kind == "died"


def test_memory_of_one_process_is_bounded(box):
    source = """
    import torch
    try:
        kept = torch.ones(200_000_000)
        seen = "had"
    except (RuntimeError, MemoryError):
        seen = "refused"
    """
    assert see(box, source) == "refused"


def test_memory_of_all_processes_together_is_bounded(box):
    source = """
    import os, time
    for _ in range(8):
        if os.fork() == 0:
            kept = bytearray(b"x") * 300_000_000
            time.sleep(1000)
    time.sleep(1000)
    """
    ended = ends(box, source)
    assert ended.kind == "memory" and "0.5 GiB" in str(ended)


def test_a_machine_without_memory_ends_the_submission(boxes, monkeypatch):
    """Memory of the kernel's, such as sockets' buffers, is counted as nobody's."""
    assert sandbox.available() > TIGHT.free
    with boxes.new() as box:
        monkeypatch.setattr(sandbox, "available", lambda: TIGHT.free - 1)
        with pytest.raises(Ended, match="The machine ran out of memory") as ended:
            run(box, "import time; time.sleep(5)")
    assert ended.value.kind == "machine"


def test_buffers_of_sockets_stay_small(box):
    source = """
    import resource, socket
    seen, a, b = [], *socket.socketpair()
    a.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with socket.socket() as other:
        other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF, 32, 33):
        try:
            a.setsockopt(socket.SOL_SOCKET, option, 1 << 24)
        except PermissionError:
            seen.append(option)
    seen.append(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    """
    assert see(box, source) == [7, 8, 32, 33, 256]


def test_processes_are_bounded(box):
    """By the kernel, for root's grader too."""
    source = """
    import os, time
    seen = 0
    try:
        for _ in range(200):
            if os.fork() == 0:
                time.sleep(1000)
            seen += 1
    except BlockingIOError:
        pass
    """
    assert 3 <= see(box, source) <= TIGHT.processes


def test_threads_are_bounded(box):
    source = """
    import threading, time
    seen = 0
    try:
        for _ in range(200):
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
            seen += 1
    except RuntimeError:
        pass
    """
    assert 3 <= see(box, source) <= TIGHT.processes


@pytest.mark.parametrize("bomb", ["import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
                                  "!bomb() { bomb | bomb & }; bomb; sleep 100"])  # fmt: skip
def test_a_fork_bomb_goes_off_inside(boxes, bomb):
    boxes.limits = Limits(**{**vars(TIGHT), "cell_seconds": 3})
    try:
        with boxes.new() as box:
            assert ends(box, bomb).kind in ("time", "died", "memory")
    finally:
        boxes.limits = TIGHT
    with boxes.new() as box:
        assert see(box, "seen = 1") == 1


def test_files_are_bounded(box):
    source = """
    import os, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    seen = []
    for folder in (".", "/dev/shm"):
        total = 0
        try:
            for i in range(100_000):
                with open(f"{folder}/{i}", "wb") as file:
                    for _ in range(64):
                        total += file.write(bytes(1 << 20))
        except OSError:
            seen.append(total)
    """
    sizes = see(box, source)
    assert len(sizes) == 2 and all(size <= TIGHT.file_bytes for size in sizes)
    many = """
    import os
    try:
        for i in range(10**6):
            open(f"{i}", "wb").write(bytes(1 << 16))
    except OSError:
        pass
    seen = sum(entry.stat().st_size for entry in os.scandir(".") if entry.is_file())
    """
    assert see(box, many) <= TIGHT.scratch_bytes


# -------------------------------------------------------------------------------------------------- nothing stays behind


def test_nothing_outlives_a_submission(boxes):
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    with boxes.new() as box:
        source = f"""
        import os, subprocess, time
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.execv("/bin/sh", ["sh", "-c", "trap '' TERM HUP; sleep 1000; sleep 1000", "{mark}"])
                os._exit(0)
        open("{mark}", "w").close(), open("/dev/shm/{mark}", "w").close(), open("/tmp/{mark}2", "w").close()
        time.sleep(0.3)
        seen = 1
        """
        assert see(box, source) == 1
        assert alive(mark.encode()), "the attack does not do what it says"
    assert not alive(mark.encode())
    assert not list(Path("/tmp").glob("mark-*")) and not list(Path("/dev/shm").glob("mark-*"))
    with boxes.new() as box:
        left = see(box, "import os\nseen = [name for place in ('.', '/dev/shm') for name in os.listdir(place)]")
        assert not any("mark" in name for name in left)


def test_students_do_not_see_each_other(boxes):
    with boxes.new() as first, boxes.new() as second:
        source = """
        import socket, torch, utils.plotting, os
        torch.relu = None; utils.plotting.mine = 1; mine = 2
        server = socket.socket(socket.AF_UNIX); server.bind("\\0meet"); server.listen()
        other = socket.create_server(("127.0.0.1", 5005))
        open("/tmp/meet", "w").close(); open("/dev/shm/meet", "w").close()
        """
        assert run(first, source) is None
        source = """
        import socket, torch, utils.plotting, os
        seen = [torch.relu is None, hasattr(utils.plotting, "mine"), "mine" in globals()]
        seen += [os.path.exists(path) for path in ("/tmp/meet", "/dev/shm/meet")]
        for family, address in ((socket.AF_UNIX, "\\0meet"), (socket.AF_INET, ("127.0.0.1", 5005))):
            with socket.socket(family) as s:
                seen.append(s.connect_ex(address) == 0)
        """
        assert see(second, source) == [False] * 7


def test_the_grader_can_be_killed_and_nothing_stays(system_program, tmp_path):
    system_program("bwrap", "bubblewrap")
    script = tmp_path / "grader.py"
    script.write_text("import sys, time\nfrom course.grader.sandbox import Sandboxes, Limits\n"
                      "boxes = Sandboxes('02', Limits(), sys.argv[1])\nbox = boxes.new()\nprint('ready', flush=True)\n"
                      "box.run_cells([{'id': 'a', 'source': 'import time; time.sleep(1000)'}])\n")  # fmt: skip
    for mode in ("fork", "fresh"):
        grader = subprocess.Popen([sys.executable, str(script), mode], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)})
        assert grader.stdout.readline() == b"ready\n"
        tree = sandbox.descendants(grader.pid)[1:]
        assert len(tree) >= 3
        grader.kill()
        grader.wait()
        grader.stdout.close()
        deadline = time.monotonic() + 10
        while left := [pid for pid in tree if os.path.exists(f"/proc/{pid}") and "zombie" not in Path(f"/proc/{pid}/status").read_text()]:
            assert time.monotonic() < deadline, f"still there: {left}"
            time.sleep(0.05)


# -------------------------------------------------------------------------------------------------------------- replies

FIND_PIPE = """
import os, stat, struct, time
def writable(n):
    try:
        import fcntl
        return stat.S_ISFIFO(os.fstat(n).st_mode) and fcntl.fcntl(n, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
    except OSError:
        return False
out = next(n for n in range(3, 512) if writable(n))
def good(header):
    return struct.pack('>4sIQ', b'LAB1', len(header), 0) + header
forged = b'{"dict":[["nonce","0"],["reply",{"dict":[["evidence",{"dict":[["seen",1]]}],["after",{"dict":[]}]]}]]}'
"""
FORGERIES = {
    "not a frame": "def attack(): os.write(out, b'x' * 4096)",
    "huge": "def attack(): os.write(out, struct.pack('>4sIQ', b'LAB1', 2**32 - 1, 2**63))",
    "a body that never comes": "def attack(): os.write(out, struct.pack('>4sIQ', b'LAB1', 2, 1000)); time.sleep(1000)",
    "a slow drip": "def attack():\n    os.write(out, struct.pack('>4sIQ', b'LAB1', 100000, 0))\n"
                   "    while True: os.write(out, b' '); time.sleep(0.01)",
    "endless": "def attack():\n    while True: os.write(out, b'LAB1' * 1000)",
    "deeply nested": "def attack(): os.write(out, good(b'[' * 50_000))",
    "a million keys": "def attack(): os.write(out, good(b'{' + b','.join(b'\"%d\":0' % i for i in range(300_000)) + b'}'))",
    "another nonce": "def attack(): os.write(out, good(forged))",
    "pickle": "import pickle\ndef attack(): os.write(out, good(pickle.dumps({})))",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_hostile_reply_is_refused(boxes, name):
    boxes.limits = Limits(**{**vars(TIGHT), "check_seconds": 1.5})
    try:
        with boxes.new() as box:
            source = FIND_PIPE + FORGERIES[name]
            probe = "def probe(student):\n    student.attack()\n    import time\n    time.sleep(1000)\n"
            with pytest.raises(Ended) as ended:
                run(box, source)
                box.ask(QUESTION | {"needs": [], "probe": probe})
            wanted = "time" if name in ("a body that never comes", "a slow drip") else "protocol"
            assert ended.value.kind == wanted, str(ended.value)
    finally:
        boxes.limits = TIGHT


def test_an_answer_ahead_of_its_question_is_refused(box):
    assert run(box, FIND_PIPE + "import threading\nthreading.Timer(0.2, os.write, (out, good(forged))).start()\nseen = 0") is None
    time.sleep(0.6)
    with pytest.raises(Ended, match="before it was asked") as ended:
        box.ask(QUESTION)
    assert ended.value.kind == "protocol"


def test_a_reply_of_another_form_is_refused(box):
    source = "from utils.checks import engine\nengine.reply = lambda question, namespace: {'evidence': 5, 'after': {}}"
    assert run(box, source) is None
    with pytest.raises(Ended) as ended:
        box.ask(QUESTION)
    assert ended.value.kind == "protocol"


def test_a_result_that_is_too_large_is_an_error_of_the_student(box):
    reply_to = box.ask(QUESTION | {"needs": [], "probe": "def probe(student):\n    return {'y': torch.zeros(2_000_000)}\n"})
    assert "larger than 4,194,304 bytes" in reply_to["error"]


def test_a_pipe_that_is_never_read(boxes):
    """The question is larger than a pipe holds, and nobody takes it out."""
    boxes.limits = Limits(**{**vars(TIGHT), "check_seconds": 1})
    try:
        with boxes.new() as box:
            assert run(box, "import os, time\nos.read = lambda *a: time.sleep(1000)\nseen = 1") is None
            with pytest.raises(Ended) as ended:
                box.ask(QUESTION | {"inputs": {"x": torch.zeros(1_000_000, dtype=torch.uint8)}})
            assert ended.value.kind == "time"
    finally:
        boxes.limits = TIGHT


def test_a_template_that_is_gone_is_replaced(system_program):
    system_program("bwrap", "bubblewrap")
    with Sandboxes("02", TIGHT, "fork") as boxes:
        with boxes.new() as box:
            boxes.template.process.kill()
            with pytest.raises(Ended):
                run(box, "import time; time.sleep(1000)")
        with boxes.new() as box:
            assert see(box, "seen = 1") == 1


# --------------------------------------------------------------------------------------------------- where it is missing


@pytest.mark.parametrize("mode", ["fork", "fresh"])
def test_without_bubblewrap_it_refuses(monkeypatch, mode):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SandboxError, match="apt install bubblewrap.*--unsafe"):
        Sandboxes("02", Limits(), mode)


def test_unsafe_grades_without(tmp_path):
    with Sandboxes("02", TIGHT, "unsafe") as boxes, boxes.new() as box:
        assert see(box, "import os\nseen = os.environ['LABS_GRADER']") == "1"
        folder = box.keeper.folder
        assert folder.exists()
    assert not folder.exists()


def test_the_sandbox_of_a_grader_that_cannot_have_one(monkeypatch, tmp_path):
    """bubblewrap's own reason is passed on."""
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(room, "find_bubblewrap", lambda: str(broken))
    for mode in ("fork", "fresh"):
        with pytest.raises(SandboxError, match="No permissions"), Sandboxes("02", Limits(), mode) as boxes:
            boxes.new()


def test_a_reply_has_one_of_three_forms():
    good = {"evidence": {"y": 1}, "after": {}}
    assert sandbox.is_reply(good)
    assert sandbox.is_reply({"missing": "x", "function": None})
    assert sandbox.is_reply({"error": "x", "function": "f", "line": 1, "source": "", "hidden": ""})
    for bad in ({}, good | {"more": 1}, good | {"after": None}, {"missing": "x"}, {"missing": 1, "function": None},
                {"error": "x", "function": "f", "line": "1", "source": "", "hidden": ""}):  # fmt: skip
        assert not sandbox.is_reply(bad)


def test_the_frame_is_what_the_attacks_forge():
    assert wire.FRAME.format == ">4sIQ" and wire.MARK == b"LAB1" and struct.calcsize(">4sIQ") == 16
    assert json.loads(wire.pack({"a": 1})[16:]) == {"dict": [["a", 1]]}
