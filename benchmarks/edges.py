"""Memory and time at the edges: spaces of 10¹¹ candidates, and mean oxidation states.

Each case runs in a new interpreter. Its peak memory is compared with that of the imports alone;
the limits are those of a laptop that does something else at the same time.
"""

from __future__ import annotations

import json
import subprocess
import sys

from _common import parse_arguments, summarise, write_results

IMPORTS = """
import json, pathlib, re, time
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn_elmodes import screen
from sklearn_elmodes.candidates import FormulaCandidates
from sklearn_elmodes.elements import SYMBOLS
import joblib, tqdm, pandas

def report(**found):
    status = pathlib.Path("/proc/self/status").read_text()  # getrusage knows the parent's peak, too
    peak = int(re.search("VmHWM: *([0-9]+)", status.replace("\t", " ")).group(1)) / 1024
    print(json.dumps({"peak_mb": peak, "seconds": time.process_time() - start, **found}))

start = time.process_time()
"""
FIRST_BATCH = """
class Stop(Exception):
    pass

class FirstBatch(RegressorMixin, BaseEstimator):
    calls = 0
    def fit(self, X, y=None):
        self.fitted_ = True
        return self
    def predict(self, X):
        FirstBatch.calls += len(X)
        if FirstBatch.calls > 65_536:
            raise Stop
        return np.zeros(len(X))

space = FormulaCandidates(SYMBOLS[:%d], n_elements=5, amounts=range(1, 7))
try:
    screen(FirstBatch().fit(None), space, k=10)
except Stop:
    pass
report(n_candidates=len(space))
"""
MEAN_STATES = """
states = {"Fe": ["8/3"], "Mn": ["23/7"], "Co": ["30/11"], "Ni": ["12/5"], "Cu": ["13/9"]}
states |= {"O": [-2], "F": [-1], "S": [-2], "Cl": [-1], "N": [-3]}
space = FormulaCandidates(
    states, n_elements=(2, 3), amounts=range(1, %d), oxidation_states=states
)
report(n_candidates=len(space))
"""
IDLE, FIRST, STATES = "imports", "first batch of the space", "mean oxidation states"


def run(code: str) -> dict[str, float]:
    """Run a case in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS + code], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def main() -> None:
    """Measure the cases in turn."""
    arguments = parse_arguments(__doc__)
    cases = {
        IDLE: "report()",
        FIRST: FIRST_BATCH % (30 if arguments.quick else 105),
        STATES: MEAN_STATES % (4 if arguments.quick else 7),
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
    for _ in range(1 if arguments.quick else 5):
        for name, code in cases.items():
            runs[name].append(run(code))
    results: dict[str, dict[str, object]] = {
        name: {key: summarise([found[key] for found in values]) for key in values[0]}
        for name, values in runs.items()
    }
    idle = results[IDLE]["peak_mb"]["mean"]  # type: ignore[index]
    beyond = {name: results[name]["peak_mb"]["mean"] - idle for name in (FIRST, STATES)}  # type: ignore[index]
    seconds = results[STATES]["seconds"]["mean"]  # type: ignore[index]
    for name, memory in beyond.items():
        print(f"{name}: {memory:.0f} MB beyond the imports")
    print(f"{STATES}: {seconds:.2f} CPU-seconds")
    claims = {
        "the first batch of a space needs less than 40 MB": beyond[FIRST] < 40,
        "mean oxidation states need less than 10 MB": beyond[STATES] < 10,
        "mean oxidation states need less than 0.1 CPU-seconds": seconds < 0.1,
    }
    write_results("edges", {**results, "beyond_imports_mb": beyond}, claims, arguments)


if __name__ == "__main__":
    main()
