"""Processes that a test starts, and sends a signal at a known point of their work."""

import os
import subprocess
import sys
import time

# A background shell ignores SIGINT, and what it starts inherits that.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
DEADLINE = 600  # seconds, of which an idle machine needs few


def pause_before(name):
    """Return code that makes a process wait for a signal before it gives a file this name."""
    return f"""
import sys, time
def pause(event, arguments):
    while event == "os.rename" and str(arguments[1]).endswith({name!r}):
        time.sleep(0.1)
sys.addaudithook(pause)
"""


def wait_for(condition, process=None):
    """Return once the condition is true; fail if the process ends before that."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        assert process is None or process.poll() is None, "it ended too early"
        time.sleep(0.01)


def send_once(number, condition, code, *arguments):
    """Run code in a new process, send it a signal once a condition is true, and see how it ends."""
    command = [sys.executable, "-c", INTERRUPTIBLE + code, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for(condition, process)
            process.send_signal(number)
            output, error = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    return subprocess.CompletedProcess(command, process.returncode, output, error)
