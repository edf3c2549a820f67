"""scikit-learn's estimator checks on all estimators of the peers, and invalid rows.

Each tool runs in its own environment: first ``check_estimator``, ``clone``,
``get_feature_names_out`` and ``set_output``; then one invalid row among twenty valid ones,
which may give an error that names the value and the row, NaN, or ordinary numbers. Nothing
is timed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from _common import parse_arguments, write_results
from _environments import available, run_worker


class Tool(NamedTuple):
    """A function of ``peers/conform.py``, and the environment in which it runs."""

    function: str
    packages: tuple[str, ...]
    environment: str | None = None


TOOLS = {
    "modes": Tool("modes_transformer", ("sklearn-elmodes", "scikit-learn")),
    "default pipeline": Tool("modes_pipeline", ("sklearn-elmodes", "scikit-learn")),
    "matminer, Magpie": Tool("matminer", ("matminer", "pymatgen", "scikit-learn")),
    "ElementEmbeddings": Tool("elementembeddings", ("ElementEmbeddings",), "elementembeddings"),
    "CBFV": Tool("cbfv", ("CBFV", "pandas"), "cbfv"),
    "CrabNet": Tool("crabnet", ("crabnet", "torch", "scikit-learn"), "crabnet"),
}
OURS = ("modes", "default pipeline")
SLOW = ("default pipeline", "CrabNet")  # not in quick mode


def main() -> None:
    """Check the tools."""
    arguments = parse_arguments(__doc__)
    tools = {n: tool for n, tool in TOOLS.items() if not (arguments.quick and n in SLOW)}
    environments = tuple(tool.environment for tool in tools.values() if tool.environment)
    there = available(environments, make=not arguments.quick)
    results: dict[str, Any] = {}
    for name, tool in tools.items():
        if tool.environment not in (None, *there):
            continue
        request = {"tool": tool.function, "packages": tool.packages, "quick": arguments.quick}
        results[name] = run_worker("conform", tool.environment, request)
        outcomes = [found["outcome"] for found in results[name]["bad rows"].values()]
        print(f"{name}: {', '.join(outcomes)}", flush=True)
    ours = [results[name] for name in OURS if name in results]
    rows = [found for tool in ours for found in tool["bad rows"].values()]
    claims = {
        "every check passes on every estimator of ours": all(
            found.get("failed") == 0 for tool in ours for found in tool["checks"].values()
        ),
        "every estimator of ours can be cloned, has names and makes frames": all(
            answer == "yes"
            for tool in ours
            for found in tool["interface"].values()
            for answer in found.values()
        ),
        "every bad row is an error of ours that names the value and the row": all(
            row["outcome"] == "error" and row["names the value"] and row["names the row"]
            for row in rows
        ),
    }
    write_results("conformance", results, claims, arguments)


if __name__ == "__main__":
    main()
