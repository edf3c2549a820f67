"""Time to import the package, beyond that of NumPy, and to show ``elmodes --help``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from _common import parse_arguments, summarise, write_results

HEAVY = ("torch", "skorch", "matminer", "pymatgen")
COMMANDS = {
    "import numpy": "import numpy",
    "import sklearn_elmodes": "import numpy, sklearn_elmodes",
    "elmodes --help": "import sys; sys.argv = ['elmodes', '--help'];"
    "from sklearn_elmodes.cli import main; main()",
}


def seconds(code: str) -> float:
    """Time a new interpreter."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Time interpreters in turn."""
    arguments = parse_arguments(__doc__)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(2 if arguments.quick else 11):
        for name, code in COMMANDS.items():
            times[name].append(seconds(code))
    median = {name: statistics.median(values) for name, values in times.items()}
    extra = median["import sklearn_elmodes"] - median["import numpy"]
    check = f"import sys, sklearn_elmodes; sys.exit(any(m in sys.modules for m in {HEAVY}))"
    subprocess.run([sys.executable, "-c", check], check=True)
    print(f"import sklearn_elmodes takes {extra:.3f} s more than import numpy alone")
    print(f"elmodes --help takes {median['elmodes --help']:.2f} s")
    results = {name: summarise(values) for name, values in times.items()}
    claims = {
        "import takes less than 0.3 s more than NumPy's": extra < 0.3,
        "elmodes --help takes less than 1 s": median["elmodes --help"] < 1.0,
    }
    write_results("startup", {"import_beyond_numpy_s": extra, **results}, claims, arguments)


if __name__ == "__main__":
    main()
