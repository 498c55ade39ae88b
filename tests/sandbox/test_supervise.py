"""The supervisor of a traced command: whom it waits for, and what it does about those who are left."""

from __future__ import annotations

import subprocess
import sys

from dockersim.sandbox.inside import supervise

# As under proot, which goes on as long as anything does that it traces: a command that ends at once, leaving a process.
_QUICK = """
import os, time
from dockersim.sandbox.inside import supervise
supervise.adopt_orphans()
tracer = os.fork()
if tracer == 0:
    command = os.fork()
    if command == 0:
        if os.fork() == 0:
            time.sleep(60)
        os._exit(3)
    os.waitpid(command, 0)
    time.sleep(60)
while len(supervise._children(os.getpid())) < 2:
    time.sleep(0.001)
print(supervise._first_born(tracer, 2) == [tracer])
supervise.kill_descendants()
print(supervise._descendants(os.getpid()))
"""


def test_a_command_that_was_quick_is_not_waited_for() -> None:
    ran = subprocess.run([sys.executable, "-c", _QUICK], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout.split() == ["True", "[]"]


def test_a_process_that_is_gone_has_no_state() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert supervise._state(gone.pid) == b""
