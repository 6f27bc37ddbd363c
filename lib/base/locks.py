"""Locks that go with the process that holds them, so that a killed run neither blocks the next one nor computes on."""

import fcntl
import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lock(path: Path, seconds: float = 0):
    """Yield the open file of an advisory lock, or None if another process keeps it for longer than `seconds`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    limit = time.monotonic() + seconds
    with open(path, "w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= limit:
                    file = None
                    break
                time.sleep(0.2)
        yield file


def leave_with(lock_of_run: str) -> None:
    """End this process within a second after the run that started it has gone, which frees `lock_of_run`.

    So a killed run leaves no notebook behind that goes on computing. The kernel watches this process in the same way.
    """

    def watch():
        while True:
            with open(lock_of_run) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    os._exit(1)
                except BlockingIOError:
                    time.sleep(0.5)

    if Path(lock_of_run).exists():  # it is not where a cluster runs this job on another machine
        threading.Thread(target=watch, daemon=True).start()
