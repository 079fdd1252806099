"""What a process costs: wall seconds, CPU seconds of all its threads, peak resident memory."""
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass


@dataclass
class Cost:
    wall: float  # s
    cpu: float   # s, user and system
    peak: float  # MB, 10^6 bytes

    def __str__(self):
        return f"{self.wall:.1f} / {self.cpu:.1f} / {self.peak:.0f}"


def run(command):
    """(exit code, Cost, what it said) of a command."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()  # to its end, before it is waited for
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    cost = Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
    return process.returncode, cost, said.decode(errors="replace")


def measured(command):
    """Runs a command to its end: its Cost. Raises CalledProcessError, with what it said, where it fails. A process's peak
    begins at what its parent held when it was made: the parent is this file as a small process of its own."""
    command = [str(part) for part in command]
    done = subprocess.run([sys.executable, __file__, *command], stdout=subprocess.PIPE, check=True)
    code, cost, said = json.loads(done.stdout)
    if code:
        raise subprocess.CalledProcessError(code, command, stderr=said)
    return Cost(**cost)


if __name__ == "__main__":
    returned, spent, text = run(sys.argv[1:])
    print(json.dumps([returned, asdict(spent), text]))
