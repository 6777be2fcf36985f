"""Where a student's code runs: a process that holds no judge, no label and no grade, shut in by bubblewrap."""

import contextlib
import dataclasses
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import wire
from .room import COURSE, PASSWD, SCRATCH, SandboxError, bubblewrap, environment, find_bubblewrap, imported, links, view

GIB = 1 << 30
TEXT = 4_000  # characters of a student's error message that are kept

@dataclass(frozen=True)
class Limits:
    """What one submission may use. Times are by the clock on the wall, sizes in bytes."""

    cell_seconds: float = 300  # all cells together
    check_seconds: float = 30  # one question of a check
    start_seconds: float = 120  # Python, torch and the rest: the grader's own time
    cpu_seconds: float = 600  # of processor time, each process
    memory: int = 4 * GIB  # of all processes together, beyond what importing torch takes
    free: int = 256 << 20  # of the machine's memory: with less, a submission ends, whatever is counted as its own
    processes: int = 64  # and threads
    file_bytes: int = 256 << 20  # one file
    scratch_bytes: int = 512 << 20  # all files of the scratch folder; as much again in /dev/shm
    reply_bytes: int = 64 << 20  # tensors in one reply


class Ended(Exception):
    """The student's process is gone, or had to go.

    Attributes:
        kind: "time", "memory", "died", "protocol" (a malformed, forged, oversized or early reply: an attack), or "machine"
            (out of memory, by whomsoever: not known to be this student's doing).
        cell: id of the cell that was running, or None.
    """

    def __init__(self, kind: str, sentence: str, cell: str | None = None):
        super().__init__(sentence)
        self.kind, self.cell = kind, cell


# -------------------------------------------------------------------------------------------------------- the pipes


class Pipes:
    """The grader's ends of the two pipes; both never block."""

    def __init__(self):
        self.theirs_in, self.writing = os.pipe()
        self.reading, self.theirs_out = os.pipe()
        for descriptor in (self.writing, self.reading):
            os.set_blocking(descriptor, False)

    def close_theirs(self) -> None:
        for descriptor in (self.theirs_in, self.theirs_out):
            os.close(descriptor)

    def close(self) -> None:
        for descriptor in (self.writing, self.reading):
            os.close(descriptor)


class Sandbox:
    """One submission's process. A context manager: `close` ends every process of it, and leaves no file."""

    def __init__(self, pipes: Pipes, keeper, limits: Limits):
        self.pipes, self.keeper, self.limits = pipes, keeper, limits
        self.bounds = wire.Bounds(body=limits.reply_bytes)
        self.ended: Ended | None = None
        self.cell: str | None = None
        self.closed = False
        self.looked = 0.0  # when

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self.close()

    def run_cells(self, cells: list[dict]) -> list[dict]:
        """Run cells in their order; an error in one does not stop the rest.

        Args:
            cells: [{"id", "source"}].
        Returns:
            [{"id", "error": None or "NameError: …"}].
        Raises:
            Ended: the process did not live to the end of a cell, whose id is its `cell`.
        """
        deadline = time.monotonic() + self.limits.cell_seconds
        too_long = f"Your cells ran for more than {self.limits.cell_seconds:g} s."
        done = []
        for cell in cells:
            self.cell = cell["id"]
            reply = self._exchange({"do": "cell", "source": cell["source"]}, deadline, too_long)
            error = reply.get("error", 0)
            if not (error is None or isinstance(error, str)):
                raise self._end("protocol", "What came back from your cell is not a reply of the course's worker.")
            done.append({"id": cell["id"], "error": error})
        self.cell = None
        return done

    def ask(self, question: dict) -> dict:
        """Take a question of `engine.ask_about` to the student's code; its reply. Raises Ended."""
        deadline = time.monotonic() + self.limits.check_seconds
        too_long = f"Your code ran for more than {self.limits.check_seconds:g} s."
        reply = self._exchange({"do": "ask", "question": question}, deadline, too_long)
        if not is_reply(reply):
            raise self._end("protocol", "What came back from your code is not a reply of the course's worker.")
        return {name: value[:TEXT] if type(value) is str else value for name, value in reply.items()}

    def _exchange(self, message: dict, deadline: float, too_long: str):
        """Send a message under a new nonce, and bring the reply that carries the same one."""
        if self.ended:
            raise self.ended
        if self._is_ready(self.pipes.reading, select.POLLIN, 0):
            raise self._end("protocol", "Your code sent an answer before it was asked.")
        if time.monotonic() > self.looked + 0.2:  # what it left running may have grown meanwhile
            self._look()
        nonce = secrets.token_hex(16)
        self._write(wire.pack(message | {"nonce": nonce}, wire.QUESTION), deadline, too_long)
        try:
            reply = wire.receive(lambda count: self._read(count, deadline, too_long), self.bounds)
        except wire.WireError as error:
            raise self._end("protocol", f"What came back from your code cannot be read: {error}.") from None
        if type(reply) is not dict or reply.keys() != {"nonce", "reply"} or reply["nonce"] != nonce:
            raise self._end("protocol", "What came back from your code answers no question that was asked.")
        if type(reply["reply"]) is not dict:
            raise self._end("protocol", "What came back from your code is not a reply of the course's worker.")
        return reply["reply"]

    def _write(self, data: bytes, deadline: float, too_long: str) -> None:
        view = memoryview(data)
        while view:
            self._wait(self.pipes.writing, select.POLLOUT, deadline, too_long)
            try:
                view = view[os.write(self.pipes.writing, view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._end("died", self._how_it_ended()) from None

    def _read(self, count: int, deadline: float, too_long: str) -> bytearray:
        data = bytearray()
        while len(data) < count:
            self._wait(self.pipes.reading, select.POLLIN, deadline, too_long)
            try:
                part = os.read(self.pipes.reading, min(count - len(data), 1 << 20))
            except BlockingIOError:
                continue
            if not part:
                raise self._end("died", self._how_it_ended())
            data += part
        return data

    def _wait(self, descriptor: int, event: int, deadline: float, too_long: str) -> None:
        """Until the pipe is ready; raises Ended where the process is over, too large or too late."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._end("time", too_long)
            if self._is_ready(descriptor, event | select.POLLHUP | select.POLLERR, min(left, 0.1)):
                return
            self._look()
            if self.keeper.is_over():
                raise self._end("died", self._how_it_ended())

    def _look(self) -> None:
        """Raise Ended if its processes have grown past the limits."""
        self.looked = time.monotonic()
        if complaint := self.keeper.complaint():
            raise self._end("memory", complaint)
        if available() < self.limits.free:
            raise self._end("machine", "The machine ran out of memory while your code ran.")

    @staticmethod
    def _is_ready(descriptor: int, event: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(descriptor, event)
        return any(seen & event for _, seen in poll.poll(seconds * 1000))

    def _how_it_ended(self) -> str:
        """A sentence; the process is stopped, if it is not over yet."""
        status = self.keeper.stop()
        number = -status if status < 0 else status - 128
        if number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT, signal.SIGFPE):
            return f"Your code crashed Python ({signal.Signals(number).name})."
        return "Your code ended Python: by exit or a signal, or because it took too much memory or processor time."

    def _end(self, kind: str, sentence: str) -> Ended:
        """Stop the process for good, and say why, now and to whoever asks again."""
        self.ended = Ended(kind, sentence, self.cell)
        self.keeper.stop()
        return self.ended

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.keeper.stop()
            self.pipes.close()
            self.ended = self.ended or Ended("died", "The sandbox is closed.")


def is_reply(reply: dict) -> bool:
    """Whether this has the form of what `engine.reply` gives."""
    text, maybe = (str,), (str, type(None))
    forms = (
        {"evidence": (dict,), "after": (dict,)},
        {"missing": text, "function": maybe},
        {"error": text, "function": maybe, "line": (int,), "source": text, "hidden": text},
    )
    return any(
        reply.keys() == form.keys() and all(type(reply[name]) in kinds for name, kinds in form.items()) for form in forms
    )


# ---------------------------------------------------------------------------------------------------- the processes

def as_files(contents: dict[str, bytes]) -> dict[str, int]:
    """path -> descriptor of an anonymous file with the content, at its beginning."""
    descriptors = {}
    for name, content in contents.items():
        descriptors[name] = os.memfd_create("course")
        with open(descriptors[name], "wb", closefd=False) as file:
            file.write(content)
        os.lseek(descriptors[name], 0, os.SEEK_SET)
    return descriptors


def descendants(pid: int) -> list[int]:
    """A process and all that come from it, by their numbers."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children") as file:
                    found += map(int, file.read().split())
    return found


def resident(pid: int) -> int:
    """Bytes of memory that a process holds, those shared with others included."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # it is over
        return 0


def available() -> int:
    """Bytes of memory that this machine still has to give."""
    with open("/proc/meminfo") as file:
        return next((1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable:")), sys.maxsize)


def proportional(pid: int) -> int:
    """Bytes of memory that a process holds, what n processes share counted as an n-th; slow (milliseconds)."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return 1024 * sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    except OSError:
        return resident(pid)


class Process:
    """A worker's process and all that come from it."""

    def __init__(self, lab: str, limits: Limits, mode: str, settings: dict, descriptors: tuple[int, ...], hidden: set[Path]):
        self.limits, self.folder, self.started, self.status = limits, None, 0, None
        own = {"mode": mode, "user": 0, "scratch": SCRATCH, "links": links(), "modules": imported(lab)}
        settings = dataclasses.asdict(limits) | own | settings
        start = self._unsafe if mode == "unsafe" else self._boxed
        start(view(lab), settings, descriptors, hidden)

    def _popen(self, command: list[str], settings: dict, scratch: str, course: str, descriptors, **more) -> None:
        program = [sys.executable, "-m", "course.grader.worker", json.dumps(settings)]
        self.process = subprocess.Popen(
            [*command, *program], env=environment(scratch, course), pass_fds=descriptors, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more,
        )  # fmt: skip

    def _boxed(self, files: dict[str, bytes], settings: dict, descriptors, hidden: set[Path]) -> None:
        if os.geteuid() == 0:  # a number that no user has, so that nothing else on this machine is its own
            settings["user"] = 1_000_000_000 + secrets.randbelow(1_000_000_000)
        user = settings["user"] or 1000
        contents = {f"{COURSE}/{name}": content for name, content in files.items()}
        contents |= {"/etc/passwd": PASSWD % (user, user), "/etc/group": b"student:x:%d:\n" % user}
        sources = as_files(contents)
        info, told = os.pipe()
        try:
            command = [*bubblewrap(sources, self.limits.scratch_bytes, hidden), "--info-fd", str(told)]
            self._popen(command, settings, SCRATCH, COURSE, (*descriptors, *sources.values(), told))
        finally:
            for descriptor in (*sources.values(), told):
                os.close(descriptor)
        with open(info) as file:
            text = file.read()  # empty where bubblewrap failed
        # The first process of the sandbox: when it ends, so do all others.
        self.first = os.pidfd_open(json.loads(text)["child-pid"]) if text else None

    def _unsafe(self, files: dict[str, bytes], settings: dict, descriptors, hidden) -> None:
        self.folder, self.first = Path(tempfile.mkdtemp(prefix="torch-labs-unsafe-")), None
        scratch, course = self.folder / "scratch", self.folder / "course"
        scratch.mkdir()
        for name, content in files.items():
            (course / name).parent.mkdir(parents=True, exist_ok=True)
            (course / name).write_bytes(content)
        self._popen([], settings, str(scratch), str(course), descriptors, cwd=scratch)

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def note_size(self) -> None:
        """Remember what memory it takes before a student's code runs."""
        self.started = sum(map(resident, descendants(self.process.pid)))

    def complaint(self) -> str:
        """A sentence, where the processes take more than they may."""
        pids = descendants(self.process.pid)
        if len(pids) > self.limits.processes + 8:  # bubblewrap's own, and a template
            return f"Your code started more than {self.limits.processes} processes."
        allowed = self.limits.memory + self.started
        if sum(map(resident, pids)) > allowed and sum(map(proportional, pids)) > allowed:
            return f"Your code took more than {self.limits.memory / GIB:.3g} GiB of memory."
        return ""

    def why_it_failed(self) -> str:
        """The last line that it wrote on stderr before it fell silent."""
        self.stop()
        return self.errors.strip().splitlines()[-1] if self.errors.strip() else "no reason was given"

    def stop(self) -> int:
        """End all its processes and wait until they are gone; the exit code, negative for a signal."""
        if self.status is None:
            if self.first is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self.first, signal.SIGKILL)
                select.select([self.first], [], [], 10)
                os.close(self.first)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.status = self.process.wait()
            os.set_blocking(self.process.stderr.fileno(), False)
            self.errors = (self.process.stderr.read(20_000) or b"").decode(errors="replace")
            self.process.stderr.close()
            if self.folder:
                shutil.rmtree(self.folder, ignore_errors=True)
        return self.status


class Template(Process):
    """A process that has imported everything and never seen a student's code, to be forked."""

    def __init__(self, lab: str, limits: Limits, hidden: set[Path]):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            super().__init__(lab, limits, "fork", {"control": theirs.fileno()}, (theirs.fileno(),), hidden)

    def wait(self) -> None:
        """Until it is ready. Raises SandboxError."""
        self.control.settimeout(self.limits.start_seconds)
        threads = self._receive().get("threads")
        if threads != 1:
            raise SandboxError(f"The template has {threads} threads, and only a process with one can be forked: use --fresh.")
        self.note_size()

    def _receive(self) -> dict:
        try:
            message = self.control.recv(1 << 16)
        except (TimeoutError, ConnectionError):
            message = b""
        if not message:
            raise SandboxError(f"The sandbox did not start: {self.why_it_failed()}.")
        return json.loads(message)

    def fork(self, pipes: Pipes, nonce: str) -> "Child":
        self.control.settimeout(self.limits.start_seconds)
        socket.send_fds(self.control, [json.dumps({"nonce": nonce}).encode()], [pipes.theirs_in, pipes.theirs_out])
        reply = self._receive()
        if "pid" not in reply:
            raise SandboxError(f"A child cannot have namespaces of its own here ({reply['error']}): use --fresh.")
        return Child(self, reply["pid"])

    def stop(self) -> int:
        self.control.close()
        return super().stop()


class Child:
    """One submission's child of a template."""

    def __init__(self, template: Template, pid: int):
        self.template, self.pid, self.status = template, pid, None

    def is_over(self) -> bool:
        return self.template.is_over()  # if only the child is, its pipe ends

    def note_size(self) -> None:
        pass  # the template's is known, and nearly all of a child's memory is the template's

    def complaint(self) -> str:
        return self.template.complaint()

    def why_it_failed(self) -> str:
        return self.template.why_it_failed()

    def stop(self) -> int:
        if self.status is None:
            try:
                self.template.control.settimeout(10)
                self.template.control.send(json.dumps({"end": self.pid}).encode())
                self.status = self.template._receive()["status"]
            except (SandboxError, OSError, KeyError):  # then everything of it goes
                self.status = self.template.stop()
        return self.status


class Sandboxes:
    """Sandboxes for one job slot, started ahead. A context manager; to be used from one thread.

    Args:
        lab: such as "02".
        mode: "fork": children of a template; "fresh": each started anew, one ahead; "unsafe": no sandbox at all.
        hidden: folders that no submission may see, should they lie inside Python's own (submissions, grades).
    Raises:
        SandboxError: here or by `new`, where a sandbox cannot be had.
    """

    def __init__(self, lab: str, limits: Limits = Limits(), mode: str = "fork", hidden: tuple[Path, ...] = ()):
        self.lab, self.limits, self.mode = lab, limits, mode
        self.hidden = {Path(path).resolve() for path in hidden}
        if mode != "unsafe":
            find_bubblewrap()
        self.template: Template | None = None
        self.reserve: tuple | None = None
        self._start_ahead()

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self.close()

    def _start_ahead(self) -> None:
        if self.mode == "fork":
            if self.template is None or self.template.is_over() or self.template.status is not None:
                self.template = Template(self.lab, self.limits, self.hidden)
                self.is_template_ready = False
        elif self.reserve is None or self.reserve[1].is_over():
            self._drop_reserve()
            self.reserve = self._start()

    def _start(self) -> tuple[Pipes, Process, str]:
        pipes, nonce = Pipes(), secrets.token_hex(16)
        descriptors = (pipes.theirs_in, pipes.theirs_out)
        settings = {"reading": pipes.theirs_in, "writing": pipes.theirs_out, "nonce": nonce}
        process = Process(self.lab, self.limits, self.mode, settings, descriptors, self.hidden)
        pipes.close_theirs()
        return pipes, process, nonce

    def _fork(self) -> tuple[Pipes, Child, str]:
        if not self.is_template_ready:
            self.template.wait()
            self.is_template_ready = True
        pipes, nonce = Pipes(), secrets.token_hex(16)
        child = self.template.fork(pipes, nonce)
        pipes.close_theirs()
        return pipes, child, nonce

    def new(self) -> Sandbox:
        """A sandbox that no code of a student has seen."""
        self._start_ahead()
        if self.mode == "fork":
            pipes, keeper, nonce = self._fork()
        else:
            (pipes, keeper, nonce), self.reserve = self.reserve, None
        sandbox = Sandbox(pipes, keeper, self.limits)
        try:
            self._wait_until_ready(sandbox, nonce)
        except BaseException:
            sandbox.close()
            raise
        if self.mode == "fresh":
            self._start_ahead()
        return sandbox

    def _wait_until_ready(self, sandbox: Sandbox, nonce: str) -> None:
        deadline = time.monotonic() + self.limits.start_seconds
        try:
            said = wire.receive(lambda count: sandbox._read(count, deadline, "it did not start in time"))
        except Ended as ended:
            reason = sandbox.keeper.why_it_failed() if ended.kind == "died" else str(ended)
            raise SandboxError(f"The sandbox did not start: {reason}.") from None
        if said != {"nonce": nonce, "reply": "ready"}:
            raise SandboxError(f"The sandbox cannot be closed up on this machine: {said.get('reply')}.")
        sandbox.keeper.note_size()

    def close(self) -> None:
        """End all processes, those started ahead too."""
        if self.template:
            self.template.stop()
        self._drop_reserve()
        self.template = None

    def _drop_reserve(self) -> None:
        if self.reserve:
            pipes, process, _ = self.reserve
            process.stop()
            pipes.close()
        self.reserve = None
