"""What a process of the sandbox gives up before a student's code runs in it: only Linux's own calls, through ctypes.

- Limits (`setrlimit`). The one on processes does not bind the machine's root, and counts all processes of a user. So a grader
  that is root runs each sandbox under a number of its own that no user has, and any other grader in a user namespace of its
  own, where Linux (5.14 and newer) counts apart. The grader counts as well, and ends what grew past the limit.
- Namespaces of its own, for a child that was forked from a template (bubblewrap has made those of the template).
- All capabilities, and the way back to them (`no_new_privs`).
- System calls that no notebook needs, by a seccomp filter: into other processes and namespaces, memory that no limit
  counts (memfd, System V, large socket buffers), keys that outlive the process, sockets that no network namespace holds
  back (vsock), and watching which files others open.

What stays possible: a lock (flock) on a file of Python's own, which is shown read-only; no program of the grader asks for one.
Buffers of pipes and sockets are the kernel's memory, which no limit counts: the grader ends a submission when the machine's
own memory comes to an end.
"""

import contextlib
import ctypes
import fcntl
import os
import platform
import resource
import socket
import struct

libc = ctypes.CDLL(None, use_errno=True)

# linux/sched.h, sys/mount.h, linux/prctl.h
NEW_MOUNT, NEW_UTS, NEW_IPC, NEW_USER, NEW_PID, NEW_NET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
ANY_NAMESPACE = NEW_MOUNT | NEW_UTS | NEW_IPC | NEW_USER | NEW_PID | NEW_NET | 0x02000000  # and cgroup
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 0x4000, 1 << 18
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 24, 36, 38

# Numbers of system calls on (x86-64, ARM of 64 bits), from the kernel's headers.
FORBIDDEN = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "semget": (64, 190),
    "msgget": (68, 186), "mq_open": (240, 180), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "personality": (135, 92), "syslog": (103, 116),
    "inotify_init": (253, 26), "inotify_init1": (294, 26), "fanotify_init": (300, 262),  # who opens which file is no one's business
}  # fmt: skip
OTHER_CALLS = {"clone": (56, 220), "clone3": (435, 435), "socket": (41, 198), "setsockopt": (54, 208), "seccomp": (317, 277)}
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH
SOCKETS = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)


class ConfineError(Exception):
    """A step that this machine does not allow; the student's code must not run."""


def call(name: str, *arguments) -> None:
    """A function of the C library; raises ConfineError where it fails."""
    arguments = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    if getattr(libc, name)(*arguments) == -1:
        raise ConfineError(f"{name}: {os.strerror(ctypes.get_errno())}")


# -------------------------------------------------------------------------------------------------------------- user


def become(number: int) -> None:
    """Be the user of this number, for good: for a grader that is root."""
    drop_bounding_set()
    os.setgroups([])
    os.setresgid(number, number, number)
    os.setresuid(number, number, number)
    call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self would be root's, and no user namespace could be had


def drop_bounding_set() -> None:
    """Leave no capability that a program could gain; without the right to do that, nothing happens."""
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)


def give_up_privileges() -> None:
    """Drop all capabilities, and gain none by running a program."""
    drop_bounding_set()
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header, nothing = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    call("capset", header, nothing)


# -------------------------------------------------------------------------------------------------------- namespaces


def enter_namespaces() -> None:
    """User, mount, IPC, network and host name namespaces of this process's own, and a process one of its next child.

    Raises:
        ConfineError: a thread runs, or this machine allows no user namespace inside bubblewrap's.
    """
    user, group = os.getuid(), os.getgid()
    call("unshare", NEW_USER | NEW_MOUNT | NEW_PID | NEW_IPC | NEW_NET | NEW_UTS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {user} 1"), ("gid_map", f"1000 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def mount(kind: bytes, target: bytes, flags: int, options: bytes) -> None:
    call("mount", kind, target, kind, flags | MS_NOSUID, options)


def lay_own_folders(scratch: str, scratch_bytes: int, links: dict[str, str]) -> None:
    """Put empty folders of this process's own over those of the template, and cover /proc."""
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    size = b"size=%d,nr_inodes=%d,mode=0700" % (scratch_bytes, 20_000)
    mount(b"tmpfs", os.fsencode(scratch), MS_NODEV, size)
    mount(b"tmpfs", b"/dev/shm", MS_NODEV, size)
    mount(b"devpts", b"/dev/pts", MS_NOEXEC, b"newinstance,ptmxmode=0666,mode=620")
    mount(b"tmpfs", b"/proc", MS_RDONLY | MS_NODEV | MS_NOEXEC, b"size=4k,nr_inodes=2,mode=0555")
    for name, target in links.items():
        os.symlink(target, name)
    os.chdir(scratch)


def start_loopback() -> None:
    """Let this network namespace, which leads nowhere, have its 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up and running


# ------------------------------------------------------------------------------------------------------------ limits


def virtual_memory() -> int:
    """Bytes of address space that this process has."""
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()


def limit(settings: dict) -> None:
    """Set the limits of this process and of all that it starts; `settings` are those of `sandbox.Limits`."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # if the machine's memory runs out, this goes first
    for name, value in {
        "AS": virtual_memory() + settings["memory"],
        "DATA": virtual_memory() + settings["memory"],  # the judging process has one of its own
        "CPU": int(settings["cpu_seconds"]),
        "FSIZE": settings["file_bytes"],
        "NPROC": settings["processes"],
        "NOFILE": 256,  # open sockets hold memory that no limit counts
        "CORE": 0,
        "MSGQUEUE": 0,
    }.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


# ----------------------------------------------------------------------------------------------------------- seccomp

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h, on constants
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000  # linux/seccomp.h; FAIL + errno
BUFFERS = (socket.SO_SNDBUF, socket.SO_RCVBUF, 32, 33)  # and their two forms for root
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97


def filter_program(machine: str) -> list[tuple[int, int, int, int]]:
    """The filter as instructions (code, steps to skip if true, if false, constant). Raises ConfineError."""
    if machine not in MACHINES:
        raise ConfineError(f"no list of system calls for {machine}; there is one for {', '.join(MACHINES)}")
    column, architecture = MACHINES[machine]

    def when(number: int, *then: tuple) -> list:
        """If the system call has this number, do `then`, which ends in a return."""
        return [(EQUAL, 0, len(then), number), *then]

    fail = lambda error: (RETURN, 0, 0, FAIL + error)  # noqa: E731
    allow, first_argument = (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, 16)
    other = {name: numbers[column] for name, numbers in OTHER_CALLS.items()}
    families = [(EQUAL, len(SOCKETS) - i, 0, family) for i, family in enumerate(SOCKETS)]
    program = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    if machine == "x86_64":  # its calls have a second set of numbers, from this one on
        program += [(AT_LEAST, 0, 1, 0x40000000), fail(ENOSYS)]
    for numbers in FORBIDDEN.values():
        program += when(numbers[column], fail(EPERM))
    program += when(other["clone3"], fail(ENOSYS))  # its flags lie where no filter can read; the C library then uses clone
    program += when(other["clone"], first_argument, (ANY_BIT, 0, 1, ANY_NAMESPACE), fail(EPERM), allow)
    larger = [(EQUAL, len(BUFFERS) - i, 0, option) for i, option in enumerate(BUFFERS)]  # to `fail`, past `allow`
    third_argument = (LOAD, 0, 0, 32)
    program += when(
        other["setsockopt"], (LOAD, 0, 0, 24), (EQUAL, 1, 0, socket.SOL_SOCKET), allow, third_argument, *larger, allow, fail(EPERM)
    )
    program += when(other["socket"], first_argument, *families, fail(EAFNOSUPPORT), allow)
    return [*program, allow]


def forbid_system_calls() -> None:
    """Install the filter for all threads of this process, for good."""
    machine = platform.machine()
    program = filter_program(machine)
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    pointer = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    number = OTHER_CALLS["seccomp"][MACHINES[machine][0]]
    result = libc.syscall(ctypes.c_long(number), ctypes.c_ulong(1), ctypes.c_ulong(1), pointer)  # SET_MODE_FILTER, TSYNC
    if result != 0:
        raise ConfineError(f"seccomp: {os.strerror(ctypes.get_errno())}")
