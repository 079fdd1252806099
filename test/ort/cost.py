"""What a process costs: wall seconds, CPU seconds of all its threads, peak resident memory."""
import os
import subprocess
import time
from dataclasses import dataclass


@dataclass
class Cost:
    wall: float  # s
    cpu: float   # s, user and system
    peak: float  # MB, 10^6 bytes

    def __str__(self):
        return f"{self.wall:.1f} / {self.cpu:.1f} / {self.peak:.0f}"


def measured(command):
    """Runs a command to its end: its Cost. Raises CalledProcessError, with what it said, where it fails."""
    start = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()  # to its end, before it is waited for
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said.decode(errors="replace"))
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
