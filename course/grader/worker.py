"""The student's side of the grader: runs a notebook's cells, then answers questions about them.

It is started by `sandbox` and speaks `wire` over two pipes that are not stdin, stdout or stderr. The
student's code runs in this very process, so nothing here can be trusted once the first cell has run; nothing here
knows an answer, either.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import types
from collections.abc import Callable
from pathlib import Path

ALWAYS = ["torch", "numpy", "matplotlib.pyplot", "IPython", "utils.checks"]
OFTEN = ["torchvision", "torch._dynamo", "torch.utils.data", "PIL.Image", "ipywidgets", "tqdm.auto"]


def preload(settings: dict) -> None:
    """Import what notebooks import: before any student code arrives, as it takes longer than all the rest.

    A template imports all that a submission may want, once for many. A process for one submission imports what the
    lab's own notebook does.
    """
    if settings["mode"] == "fork":
        import utils

        here = Path(utils.__file__).parent
        paths = sorted(path.relative_to(here.parent).with_suffix("") for path in here.rglob("*.py"))
        load([*ALWAYS, *OFTEN, *(".".join(path.parts) for path in paths if path.name != "__init__")])
        # torch reads in /proc what the processor can do, once, and a child has no /proc: it would do without AVX.
        sys.modules["torch"].backends.cpu.get_cpu_capability()
    else:
        with compiler_later():
            load(["torch"])
            if any(name.startswith("torchvision") for name in settings["modules"]):
                load(["torchvision"])
        load(ALWAYS)
    load(settings["modules"])


def load(names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(ImportError):  # then the cell that wants it will say so
            importlib.import_module(name)


class CompilerLater(types.ModuleType):
    """Stands in for torch's compiler, half of the time of all imports together, until something asks for it.

    Optimizers, and torchvision, tell it only what it must leave alone; it is not needed for that.
    """

    def disable(self, fn=None, *args, **kwargs):
        return (lambda function: function) if fn is None else fn

    def graph_break(self, *args, **kwargs):
        pass

    def __getattr__(self, name):
        if name.startswith("__") and name != "__path__":  # that is asked for when a module in it is imported
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def compiler_later():
    """Keep torchvision from importing torch's compiler for a function that only `roi_align` calls."""

    def is_compile_supported(device):
        from torch._dynamo.utils import is_compile_supported

        return is_compile_supported(device)

    sys.modules["torch._dynamo"] = CompilerLater("torch._dynamo")
    stands_in = sys.modules["torch._dynamo.utils"] = types.ModuleType("torch._dynamo.utils")
    stands_in.is_compile_supported = is_compile_supported
    try:
        yield
    finally:
        if sys.modules.get("torch._dynamo.utils") is stands_in:
            del sys.modules["torch._dynamo.utils"]


def reader(descriptor: int) -> Callable[[int], bytes]:
    """A function that reads exactly so many bytes; the process ends where no more come."""

    def read(count: int) -> bytes:
        parts = []
        while count:
            part = os.read(descriptor, min(count, 1 << 20))
            if not part:
                os._exit(0)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    return read


def send(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def make_shell():
    """IPython's shell without a terminal: magics and `!` lines work, tracebacks are not drawn, no history is kept."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Shell(InteractiveShell):
        def showtraceback(self, *args, **kwargs):
            pass

        def showsyntaxerror(self, *args, **kwargs):
            pass

        def ask_exit(self):  # `exit` in a notebook's cell ends no grading
            pass

        def enable_gui(self, gui=None):  # part of `%matplotlib`
            pass

    config = Config()
    config.HistoryManager.enabled = False
    return Shell.instance(config=config)


def text_of(error: BaseException) -> str:
    """An exception as "NameError: name 'x' is not defined"."""
    try:
        return f"{type(error).__name__}: {error}"[:2000]
    except Exception:  # a student's __str__ may fail
        return type(error).__name__


def run_cell(shell, source: str) -> dict:
    result = shell.run_cell(source, store_history=True)
    error = result.error_before_exec or result.error_in_exec
    return {"error": None if error is None else text_of(error)}


def answer(shell, message: dict) -> dict:
    """What a message of the grader asks for; an exception of the student's code is an answer too."""
    from utils.checks import engine

    try:
        if message["do"] == "cell":
            return run_cell(shell, message["source"])
        return engine.reply(message["question"], shell.user_ns)
    except BaseException as error:  # KeyboardInterrupt, raised by the student's code
        return {"error": text_of(error)} | ({} if message["do"] == "cell" else NOWHERE)


NOWHERE = {"function": None, "line": 0, "source": "", "hidden": ""}


def serve(reading: int, writing: int, shell, bounds) -> None:
    """Answer messages until the grader closes the pipe."""
    from course.grader import wire

    read = reader(reading)
    while True:
        message = wire.receive(read, wire.QUESTION)
        reply = answer(shell, message)
        try:
            data = wire.pack({"nonce": message["nonce"], "reply": reply}, bounds)
        except wire.WireError as error:
            text = f"What your code returns cannot be checked: {error}."
            data = wire.pack({"nonce": message["nonce"], "reply": {"error": text} | NOWHERE}, bounds)
        send(writing, data)


def be_silent() -> None:
    """What is printed from here on is lost; there is nothing to read on stdin."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def be_confined(settings: dict) -> None:
    """Limits, no privileges, and the system calls that a notebook needs; raises ConfineError."""
    from course.grader import confine

    if len(os.listdir("/proc/self/task")) > 1:
        raise confine.ConfineError("a thread was started by an import")
    confine.limit(settings)
    if settings["mode"] == "fork":
        confine.start_loopback()
        confine.lay_own_folders(settings["scratch"], settings["scratch_bytes"], settings["links"])
    confine.give_up_privileges()
    confine.forbid_system_calls()


def work(settings: dict, shell, reading: int, writing: int, nonce: str) -> None:
    """Be one submission's process from here on: give up all that it must not have, say so, and serve. Never returns."""
    from course.grader import confine, wire
    from utils import runtime

    be_silent()
    for descriptor in (reading, writing):
        os.set_inheritable(descriptor, False)
    try:
        if settings["mode"] != "unsafe":
            be_confined(settings)
    except (confine.ConfineError, OSError, ValueError) as error:
        send(writing, wire.pack({"nonce": nonce, "reply": str(error)}))
        os._exit(1)
    runtime.seed_everything(0)  # cells that draw without a seed of their own draw the same each time
    send(writing, wire.pack({"nonce": nonce, "reply": "ready"}))
    serve(reading, writing, shell, wire.Bounds(body=settings["reply_bytes"]))


# ---------------------------------------------------------------------------------------------------------- template


def be_template(settings: dict, shell) -> None:
    """Fork a child for each submission, and end it when told to. No code of a student ever runs here. Never returns."""
    from course.grader import confine

    be_silent()
    confine.call("prctl", confine.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # its grandchildren are its own to wait for
    with socket.socket(fileno=settings["control"]) as control:
        control.set_inheritable(False)
        control.send(json.dumps({"threads": len(os.listdir("/proc/self/task"))}).encode())
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 2)
            if not message:  # the grader is gone
                os._exit(0)
            order = json.loads(message)
            if "nonce" in order:
                reply = fork_child(settings, shell, descriptors, order["nonce"])
            else:
                reply = {"status": end_child(order["end"])}
            for descriptor in descriptors:
                os.close(descriptor)
            control.send(json.dumps(reply).encode())


def fork_child(settings: dict, shell, descriptors: list[int], nonce: str) -> dict:
    """A child in namespaces of its own: {"pid"}, or {"error"}.

    A process namespace begins with the next child of the process that asks for it: so that one is made for the purpose,
    and ends at once.
    """
    from course.grader import confine

    result, told = os.pipe()
    between = os.fork()
    if between:
        os.close(told)
        with open(result) as file:
            text = file.read()
        os.waitpid(between, 0)
        return {"pid": int(text)} if text.isdigit() else {"error": text or "fork"}
    try:
        confine.enter_namespaces()
        child = os.fork()
        if child:
            os.write(told, b"%d" % child)
            os._exit(0)
        os.setsid()  # a process group is seen across namespaces: `kill(0)` would reach the template
        for descriptor in set(map(int, os.listdir("/proc/self/fd"))) - {0, 1, 2, *descriptors}:
            with contextlib.suppress(OSError):  # that of the listing itself
                os.close(descriptor)
        work(settings, shell, *descriptors, nonce)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(told, text_of(error).encode())
    finally:
        os._exit(1)


def end_child(pid: int) -> int:
    """End a child, and with it all processes of its namespace; its exit code, negative for a signal."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(settings: dict) -> None:
    if settings["user"]:
        from course.grader import confine

        confine.become(settings["user"])
    preload(settings)
    shell = make_shell()
    if settings["mode"] == "fork":
        be_template(settings, shell)
    work(settings, shell, settings["reading"], settings["writing"], settings["nonce"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
