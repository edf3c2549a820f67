"""Shared by the scripts here, which run in any of the environments and so import little."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")
MB = 1e6


def answer(function: Callable[..., Any]) -> None:
    """Call a function with the request and print its result; other output goes to stderr."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(function(**json.loads(sys.argv[1])), out)
    out.close()


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its finished children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def memory_mb(kind: str = "VmHWM") -> float:
    """Return the peak resident memory (VmHWM) or the current one (VmRSS).

    Not ``ru_maxrss``, which on Linux starts from that of the parent process.
    """
    for line in STATUS.read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) * 1024 / MB
    raise ValueError(f"{STATUS} lacks {kind}.")


def measure(function: Callable[[Any], Any], X: Any, least_seconds: float) -> dict[str, float]:
    """Call a function with all rows, repeatedly for at least some CPU time.

    Returns
    -------
    dict of {str: float}
        Rows per second of CPU time and of wall time, peak memory of the process in MB, and
        its increase over the memory before the first timed call.
    """
    function(X[:20])  # loads tables
    before = memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    calls, start, cpu_start = 0, time.perf_counter(), cpu_seconds()
    while not calls or cpu_seconds() - cpu_start < least_seconds:
        function(X)
        calls += 1
    cpu, seconds = cpu_seconds() - cpu_start, time.perf_counter() - start
    return {
        "rows_per_cpu_second": calls * len(X) / cpu,
        "rows_per_second": calls * len(X) / seconds,
        "peak_mb": memory_mb(),
        "peak_beyond_libraries_mb": memory_mb() - before,
        "largest_child_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / MB,
    }
