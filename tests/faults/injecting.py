"""Makes a chosen file-system call of a process fail, fall short or kill it, whichever library makes the call.

The kernel asks this process about every such call of the other one (seccomp's user notifications), so that calls from
Python, C++, Rust and FFmpeg are all caught, in threads and child processes too. Linux on x86-64 and arm64 only.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Effect = Literal["kill", "tear", "short", "EIO", "ENOSPC"]
"""What happens at a call: SIGKILL; half of a write, then SIGKILL; half of a write; or an error."""

WRITES = {
    # name: (number on x86-64, number on arm64, where its file is: a path or descriptor as first argument, or `at`)
    "open": (2, None, "path"),
    "openat": (257, 56, "at"),
    "creat": (85, None, "path"),
    "write": (1, 64, "descriptor"),
    "pwrite64": (18, 68, "descriptor"),
    "writev": (20, 66, "descriptor"),
    "ftruncate": (77, 46, "descriptor"),
    "fallocate": (285, 47, "descriptor"),
    "mkdir": (83, None, "path"),
    "mkdirat": (258, 34, "at"),
    "sendfile": (40, 71, "descriptor"),
    "copy_file_range": (326, 285, "third"),
    "fsync": (74, 82, "descriptor"),
    "fdatasync": (75, 83, "descriptor"),
    "rename": (82, None, "path"),
    "renameat": (264, 38, "at"),
    "renameat2": (316, 276, "at"),
    "link": (86, None, "path"),
    "linkat": (265, 37, "at"),
    "unlink": (87, None, "path"),
    "unlinkat": (263, 35, "at"),
    "rmdir": (84, None, "path"),
}
READS = {
    "open": (2, None, "path"),
    "openat": (257, 56, "at"),
    "read": (0, 63, "descriptor"),
    "pread64": (17, 67, "descriptor"),
    "readv": (19, 65, "descriptor"),
}
NEED_SPACE = ("open", "openat", "creat", "write", "pwrite64", "writev", "ftruncate", "fallocate", "mkdir", "mkdirat")
"""Calls that a full disk can refuse."""
TEARABLE = ("write", "pwrite64", "writev")
ARCHITECTURE = {"x86_64": 0, "aarch64": 1}.get(platform.machine())

_libc = ctypes.CDLL(None, use_errno=True)
_SECCOMP = (317, 277)
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_AT_FDCWD = 2**32 - 100


@dataclass(frozen=True)
class Fault:
    """What happens at the `at`-th of the calls that are watched, counted from 1; with `lasting` at all later ones."""

    at: int
    effect: Effect
    lasting: bool = False


@dataclass
class Outcome:
    """How a process ended, and what it called."""

    code: int | None = None
    """Exit code, or the negated number of the signal that ended it; None if it had to be ended."""
    calls: list[str] = field(default_factory=list)
    """The calls that were watched, in their order."""
    struck: bool = False
    """Whether the fault came about."""
    seconds: float = 0.0


class UnavailableError(Exception):
    """This machine does not let processes watch each other's calls."""


def watch(
    act: Callable[[], int],
    folder: Path,
    *,
    fault: Fault | None = None,
    reads: bool = False,
    signal_after: tuple[float, int] | None = None,
    timeout: float = 120.0,
    started: Callable[[int], None] | None = None,
) -> Outcome:
    """Run `act` in a child of this process, whose calls on files below `folder` are counted and may fail.

    Args:
        act: What the child does; returns its exit code.
        folder: Only calls on files below it are watched.
        fault: What goes wrong.
        reads: Watch calls that read instead of those that write.
        signal_after: Seconds after which the child gets a signal, and the signal.
        timeout: Seconds after which the child and its children are ended.
        started: Called with the number of the child's process.

    Raises:
        UnavailableError: The kernel or the machine is of another kind.
    """
    if ARCHITECTURE is None:
        raise UnavailableError(f"no table of system calls for {platform.machine()}")
    table = {
        numbers[ARCHITECTURE]: (name, place)
        for name, (*numbers, place) in (READS if reads else WRITES).items()
        if numbers[ARCHITECTURE] is not None
    }
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        _become_watched(theirs, table, act)
    theirs.close()
    message, descriptors, _, _ = socket.recv_fds(ours, 64, 1)
    ours.close()
    if not descriptors:
        os.waitpid(child, 0)
        raise UnavailableError(f"calls cannot be watched here ({message.decode()})")
    if started:
        started(child)
    watcher = _Watcher(child, descriptors[0], folder.resolve(), table, fault, reads)
    return watcher.run(signal_after, timeout)


def _become_watched(channel: socket.socket, table: dict[int, tuple[str, str]], act: Callable[[], int]) -> None:
    code = 70
    try:
        os.setsid()
        _send_listener(channel, sorted(table))
        code = act()
    finally:
        os._exit(code)


def _send_listener(channel: socket.socket, numbers: list[int]) -> None:
    """Installs the filter and hands the descriptor that receives its questions to the parent."""
    # load the number of the call; ask about each that is watched, allow the others
    program = struct.pack("HBBI", 0x20, 0, 0, 0)
    for number in numbers:
        program += struct.pack("HBBI", 0x15, 0, 1, number) + struct.pack("HBBI", 0x06, 0, 0, 0x7FC00000)
    program += struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
    code = ctypes.create_string_buffer(program)
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code)))
    _libc.prctl(38, 1, 0, 0, 0)
    listener = _libc.syscall(_SECCOMP[ARCHITECTURE or 0], 1, 8, described)
    if listener < 0:
        channel.send(os.strerror(ctypes.get_errno()).encode())
        os._exit(0)
    socket.send_fds(channel, [b"watched"], [listener])
    os.close(listener)
    channel.close()


class _Watcher:
    """Answers the kernel's questions about a process and its children."""

    def __init__(
        self,
        child: int,
        listener: int,
        folder: Path,
        table: dict[int, tuple[str, str]],
        fault: Fault | None,
        reads: bool,
    ):
        self.child, self.listener, self.folder, self.table = child, listener, os.fsencode(folder), table
        self.fault, self.reads, self.outcome = fault, reads, Outcome()

    def run(self, signal_after: tuple[float, int] | None, timeout: float) -> Outcome:
        begun, ended, listening = time.monotonic(), False, True
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        while not ended:
            if listening:
                for _, events in poll.poll(20):
                    if events & select.POLLIN:
                        self._answer()
                    else:  # all that were watched are gone
                        listening = False
            else:
                time.sleep(0.002)
            elapsed = time.monotonic() - begun
            if signal_after and elapsed > signal_after[0]:
                os.kill(self.child, signal_after[1])
                signal_after = None
            if elapsed > timeout:
                self._kill()
            ended = self._is_ended(timed_out=elapsed > timeout)
        self.outcome.seconds = time.monotonic() - begun
        self._kill()  # what the child left behind
        os.close(self.listener)
        return self.outcome

    def _is_ended(self, *, timed_out: bool) -> bool:
        pid, status = os.waitpid(self.child, 0 if timed_out else os.WNOHANG)
        if pid and not timed_out:
            self.outcome.code = os.waitstatus_to_exitcode(status)
        return bool(pid)

    def _kill(self) -> None:
        with contextlib.suppress(OSError):  # nobody of its session is left
            os.killpg(self.child, signal.SIGKILL)

    def _answer(self) -> None:
        question = bytearray(80)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, question)
        except OSError:  # it was killed as it asked
            return
        identity, pid, _, number, _, _, *arguments = struct.unpack("QIIiIQ6Q", question)
        error, value, carry_on = 0, 0, 1
        name, place = self.table[number]
        if self._concerns_us(name, place, pid, arguments):
            self.outcome.calls.append(name)
            if effect := self._due(name):
                self.outcome.struck = True
                if effect in ("kill", "tear", "short"):
                    half = self._write_half(pid, name, arguments) if effect != "kill" and name in TEARABLE else None
                    if effect != "short":
                        self._kill()
                        return
                    if half:  # a single byte has no half
                        value, carry_on = half, 0
                else:
                    error, carry_on = -getattr(errno, effect), 0
        with contextlib.suppress(OSError):  # it was killed as it waited
            fcntl.ioctl(self.listener, _ANSWER, struct.pack("QqiI", identity, value, error, carry_on))

    def _due(self, name: str) -> Effect | None:
        fault, number = self.fault, len(self.outcome.calls)
        if fault is None or number < fault.at or (number > fault.at and not fault.lasting):
            return None
        if fault.effect == "ENOSPC" and name not in NEED_SPACE:
            return None
        return fault.effect

    def _concerns_us(self, name: str, place: str, pid: int, arguments: list[int]) -> bool:
        """Whether the call is about a file below the folder, and of an `open` whether it may write, or may not."""
        if name in ("open", "openat"):
            flags = arguments[1 if name == "open" else 2]
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
            if writes == self.reads:
                return False
        try:
            if place == "path":
                path = self._read_path(pid, arguments[0], _AT_FDCWD)
            elif place == "at":
                path = self._read_path(pid, arguments[1], arguments[0] & 0xFFFFFFFF)
            else:
                path = os.readlink(b"/proc/%d/fd/%d" % (pid, arguments[2 if place == "third" else 0] & 0xFFFFFFFF))
        except OSError:
            return False
        return path == self.folder or path.startswith(self.folder + b"/")

    def _read_path(self, pid: int, address: int, folder: int) -> bytes:
        path = _read_memory(pid, address, 4096).split(b"\0", 1)[0]
        if path.startswith(b"/"):
            return os.path.normpath(path)
        around = b"/proc/%d/cwd" % pid if folder == _AT_FDCWD else b"/proc/%d/fd/%d" % (pid, folder)
        return os.path.normpath(os.path.join(os.readlink(around), path))

    def _write_half(self, pid: int, name: str, arguments: list[int]) -> int:
        """Writes the first half of what a call would write, in its place; returns its length."""
        descriptor, address, length = arguments[0], arguments[1], arguments[2]
        if name == "writev":
            pieces = struct.iter_unpack("QQ", _read_memory(pid, address, 16 * length))
            content = b"".join(_read_memory(pid, start, size) for start, size in pieces)
        else:
            content = _read_memory(pid, address, length)
        half = content[: len(content) // 2]
        process = _libc.syscall(_PIDFD_OPEN, self._process_of(pid), 0)
        copy = _libc.syscall(_PIDFD_GETFD, process, int(descriptor), 0)
        if copy < 0:
            raise UnavailableError("descriptors of other processes cannot be had here")
        if name == "pwrite64":
            os.pwrite(copy, half, arguments[3])
        else:
            os.write(copy, half)
        os.close(copy)
        os.close(process)
        return len(half)

    @staticmethod
    def _process_of(thread: int) -> int:
        for line in Path(f"/proc/{thread}/status").read_text().splitlines():
            if line.startswith("Tgid:"):
                return int(line.split()[1])
        return thread


def _read_memory(pid: int, address: int, length: int) -> bytes:
    """Up to `length` bytes of another process; fewer where its memory ends."""
    content = b""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        while len(content) < length:
            try:
                piece = memory.read(length - len(content))
            except OSError:
                break
            if not piece:
                break
            content += piece
    return content
