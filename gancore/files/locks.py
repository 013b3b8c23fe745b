"""Locks on folders, so that one process at a time writes to them, also from machines that share the disk."""

import fcntl
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

from gancore.files.atomic import as_unwritable

NAME = ".lock"
"""The lock file in a folder, which names the process that writes to it."""
HEARTBEAT = 3.0
"""Interval, in seconds, at which a holder touches its lock file."""
PATIENCE = 15.0
"""Seconds without a touch after which a holder on another machine counts as gone."""

_descriptors: set[int] = set()


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keeps every other process from locking this folder, which is made if it is missing, until the block ends.

    The lock of a process that was killed is taken over: at once if it ran on this machine, else after PATIENCE seconds
    in which it gives no sign of life. File systems without locks and containers that share process numbers are allowed
    for.

    Raises:
        ValueError: Another process holds the folder; the message names it.
        UnwritableError: The folder cannot be written.
    """
    path, me = folder / NAME, _describe_me()
    with as_unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(path, me)
    stop = Event()
    heartbeat = Thread(target=_keep_touching, args=(descriptor, stop), name=f"lock of {folder}", daemon=True)
    heartbeat.start()
    try:
        yield
    finally:
        stop.set()
        heartbeat.join()  # before its descriptor is closed, whose number another file may be given
        with suppress(OSError):
            if _read(path).get("token") == me["token"]:
                path.unlink()
        _release(descriptor)


def _acquire(path: Path, me: Mapping[str, Any]) -> int:
    """The descriptor of the lock file, which now names this process."""
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        _descriptors.add(descriptor)
        try:
            supported = _lock(descriptor, path)
            holder = _read(path)
            if holder != {} and _is_alive(holder, path):
                raise _in_use(path)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(me).encode(), 0)
            if not supported:  # whoever wrote last has it
                time.sleep(0.2)
            if _read(path).get("token") == me["token"]:
                return descriptor
        except BaseException:
            _release(descriptor)
            raise
        _release(descriptor)  # its holder removed the file, or another was quicker


def _lock(descriptor: int, path: Path) -> bool:
    """Whether the file system has locks. Raises ValueError if another process of this machine holds this one."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _in_use(path) from error
    except OSError:
        return False
    return True


def _is_alive(holder: Mapping[str, Any], path: Path) -> bool:
    """Whether the process named in a lock still runs, as far as can be known."""
    if holder.get("place") == _name_place():
        process = holder.get("process")
        return isinstance(process, int) and holder.get("started") == _process_start(process)
    logging.getLogger(__name__).warning(
        "%s was last written by %s; waiting up to %g s for a sign of life", path.parent, _name(holder), PATIENCE
    )
    before, deadline = _touched(path), time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(min(0.2, PATIENCE))
        if (now := _touched(path)) != before:
            return now is not None
    return False


def _keep_touching(descriptor: int, stop: Event) -> None:
    while not stop.wait(HEARTBEAT):
        with suppress(OSError):
            os.utime(descriptor)


def _touched(path: Path) -> int | None:
    """The time of the last touch by the clock of the disk; None if the lock is gone."""
    try:
        with path.open("rb") as file:  # network disks ask for news when a file is opened
            return os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None


def _read(path: Path) -> dict[str, Any]:
    """Who holds a lock; empty if the file is empty or gone, "unknown" if it cannot be parsed."""
    try:
        text = path.read_bytes()
        content = json.loads(text) if text else {}
        return content if isinstance(content, dict) else {"unknown": True}
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        return {"unknown": True}


def _in_use(path: Path) -> ValueError:
    return ValueError(
        f"{path.parent} is in use by {_name(_read(path))}; wait until it has ended, or choose another folder"
    )


def _name(holder: Mapping[str, Any]) -> str:
    if not {"process", "host", "since"} <= holder.keys():
        return "another process"
    return f"process {holder['process']} on {holder['host']} since {holder['since']}"


def _describe_me() -> dict[str, Any]:
    return {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": f"{datetime.now():%Y-%m-%d %H:%M}",
        "started": _process_start(os.getpid()),
        "place": _name_place(),
        "token": secrets.token_hex(16),
    }


def _name_place() -> str:
    """Names this start of this machine, and this container: where a process number means one process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()


def _process_start(process: int) -> str | None:
    """When a process of this place started, "unknown" if only that it runs can be told; None if there is none."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except OSError:  # it belongs to another user
        pass
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "unknown"


def _release(descriptor: int) -> None:
    _descriptors.discard(descriptor)
    os.close(descriptor)


def _close_inherited() -> None:
    """Releases, in a forked child, the parent's locks, which the child would otherwise keep after the parent ends."""
    for descriptor in _descriptors:
        with suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()


os.register_at_fork(after_in_child=_close_inherited)
