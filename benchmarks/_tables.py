"""Write the tables of README.md and benchmarks/README.md from the results files.

A table is enclosed by ``<!-- table: NAME -->`` and ``<!-- end -->``; NAME is a key of ``TABLES``.
``python benchmarks/_tables.py`` rewrites all tables; with ``--check`` it changes nothing and
fails if a table differs from the results files.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from _common import SETTINGS_ELEMENTS

FOLDER = Path(__file__).parent
PAGES = (FOLDER.parent / "README.md", FOLDER / "README.md")
BLOCK = re.compile(r"(?P<begin><!-- table: (?P<name>\w+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
TABLES: dict[str, Callable[[Path], str]] = {}
HARD_SPACE = "\N{NO-BREAK SPACE}"


def table(function: Callable[[Path], str]) -> Callable[[Path], str]:
    """Register a function as a table, under its name."""
    TABLES[function.__name__] = function
    return function


def read(results: Path, name: str) -> dict[str, Any]:
    """Read a results file."""
    path = results / f"{name}.json"
    if not path.exists():
        raise SystemExit(f"{path.name} is missing; a full run of its benchmark writes it.")
    return json.loads(path.read_text(encoding="utf-8"))


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]], number_columns: int = 0) -> str:
    """Write a table; its last ``number_columns`` columns are right-aligned."""
    header = list(header)
    marks = ["---"] * (len(header) - number_columns) + ["---:"] * number_columns
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    lines.insert(1, f"|{'|'.join(marks)}|")
    return "".join(f"{line}\n" for line in lines)


def paragraph(text: str) -> str:
    """Break lines at 100 characters, but never inside a command."""
    text = re.sub("`[^`]+`", lambda match: match[0].replace(" ", HARD_SPACE), text)
    lines = fill(text, 100, break_long_words=False, break_on_hyphens=False)
    return lines.replace(HARD_SPACE, " ") + "\n"


def current(label: str) -> str:
    """Translate a label of the results files for the pages and figures."""
    return label.replace("spread", "std").replace(" passes", " epochs")


@table
def headline(results: Path) -> str:
    content = read(results, "learning_curve")["results"]
    scores = {name: found["mae"] for name, found in content["n_train"]["8472"].items()}
    ours, single, recipe = (
        f"{scores[name]['mean']:.4f}"
        for name in ("default pipeline", "single network", "paper's recipe, re-run")
    )
    chlorine = read(results, "held_out_elements")["results"]["elements"]["Cl"]
    return paragraph(
        "**Accuracy.** In the paper's experiment on elpasolites (ABC2D6, 8,472 training crystals), "
        "the default pipeline (four networks) has a mean absolute test error of "
        f"**{ours} eV/atom**; a single network has {single}. The paper's network has {recipe} when "
        f"re-run on the same five splits; the paper reports {content['paper']['mae']}. If all "
        "crystals with chlorine are left out of training, the error on them is "
        f"{chlorine['default pipeline']['mae']:.3f} eV/atom."
    )


@table
def learning_curve(results: Path) -> str:
    curve = read(results, "learning_curve")["results"]["n_train"]
    *few, last = ("250", "1000", "4000", "8472")
    rows = []
    for name, found in curve[last].items():
        cells = [f"{curve[n][name]['mae']['mean']:.3f}" for n in few]
        rows.append([name, *cells, f"{found['mae']['mean']:.4f} ± {found['mae']['std']:.4f}"])
    return markdown(["model", "N = 250", "1,000", "4,000", "8,472"], rows)


@table
def skipatom_subset(results: Path) -> str:
    found = read(results, "skipatom_subset")["results"]
    ours, kernel = (
        found[name]["mae"]
        for name in ("default pipeline", "Laplacian kernel ridge on the properties")
    )
    return paragraph(
        f"On the {found['n_crystals']:,} elpasolites without noble gases, in 10-fold "
        f"cross-validation, the default pipeline has {ours['mean']:.4f} ± {ours['std']:.4f} and "
        f"kernel ridge on the properties {kernel['mean']:.4f}; the SkipAtom paper reports "
        f"{found['published']['SkipAtom']} (`python benchmarks/skipatom_subset.py`)."
    )


@table
def held_out_elements(results: Path) -> str:
    found = read(results, "held_out_elements")["results"]
    rows = []
    for name, scores in found["summary"].items():
        errors = scores["mean_mae"], scores["median_mae"], found["elements"]["Cl"][name]["mae"]
        label = "mean of the training crystals" if name == "mean" else name
        cells = [f"{error:.3f}" for error in errors]
        rows.append([label, *cells, f"{scores['share_r2_above_0.95']:.0%}"])
    return markdown(["model", "mean", "median", "chlorine", "R² above 0.95"], rows)


@table
def held_out_elements_new(results: Path) -> str:
    elements = read(results, "held_out_elements")["results"]["elements"]
    others = [scores for element, scores in elements.items() if element not in SETTINGS_ELEMENTS]
    ours, modes, properties = (
        f"{np.mean([scores[name]['mae'] for scores in others]):.3f}"
        for name in (
            "default pipeline",
            "Laplacian kernel ridge on the modes",
            "Laplacian kernel ridge on the properties",
        )
    )
    *first, last = SETTINGS_ELEMENTS
    *worst, fifth = sorted(elements, key=lambda e: -elements[e]["default pipeline"]["mae"])[:5]
    return paragraph(
        f"Twelve of these elements ({', '.join(first)} and {last}) were used for hyperparameter "
        f"selection. Over the other {len(others)} the mean error is {ours}, against {modes} for "
        f"kernel ridge on the modes and {properties} on the properties. The errors are largest for "
        f"{', '.join(worst)} and {fifth}, light non-metals without a close analogue among the "
        "others."
    )


@table
def periodic_trends(results: Path) -> str:
    found = read(results, "periodic_trends")["results"]
    named = {
        f"{n} {kind} of {of} properties": found[f"{case} {n}"][kind]
        for case, n, of in (("herr2019", 4, 10), ("herr2019", 8, 10), ("extended", 12, 25))
        for kind in ("modes", "principal components")
    }
    rows = []
    for name, trends in {**named, "the authors' 4 modes": found["published 4"]}.items():
        back = [
            f"{trends[key]['mean']:.3f}" if key in trends else "–" for key in ("r2", "r2_left_out")
        ]
        kept = f"{trends['rank_correlation']:.2f}", f"{trends['share_of_neighbours']:.0%}"
        rows.append([name, *back, *kept])
    header = ["representation", "R²", "R², element left out"]
    return markdown([*header, "rank correlation", "nearest is a neighbour"], rows)


@table
def general_model(results: Path) -> str:
    found = read(results, "train_general")["results"]
    rate = read(results, "any_formula_oqmd")["results"]["formulas predicted per CPU-second"]
    within = "validation within 5 eV/atom"
    return paragraph(
        f'The general model, `load_pretrained("oqmd")`, was trained on {found["rows"]:,} formulas '
        f"of the OQMD and the pure elements, in {found['CPU-seconds of that'] / 60:.0f} minutes on "
        "one core (`python benchmarks/train_general.py`). Its MAE on the validation part is "
        f"{found['validation']['mae']:.4f} eV/atom, or {found[within]['mae']:.4f} without the rows "
        f"beyond 5 eV/atom. It reads and predicts {round(rate, -3):,.0f} formulas per CPU-second."
    )


@table
def any_formula_oqmd(results: Path) -> str:
    found = read(results, "any_formula_oqmd")["results"]
    scores = {name: value for name, value in found.items() if isinstance(value, dict)}
    rows = [
        [current(name), f"{of['mae']:.4f}"] for name, of in scores.items() if "within" not in name
    ]
    return markdown(["model", "MAE"], rows)


@table
def any_formula_mp(results: Path) -> str:
    found = read(results, "any_formula_mp")["results"]
    parts = {case: models for case, models in found.items() if " of " in case and "%" in case}
    rows = [
        [name, *(f"{models[name]['mae']['mean']:.3f}" for models in parts.values())]
        for name in next(iter(parts.values()))
    ]
    share = found["share of rows in the OQMD's training part"]
    return (
        paragraph(
            f"Test MAE by the share of the {next(iter(parts)).split(' of ')[1]} training rows used "
            "(`python benchmarks/any_formula.py --task mp`; mean over five draws of the two "
            f"smallest shares and two draws of 10%). The OQMD's training part contains {share:.0%} "
            "of these compositions, with other energies."
        )
        + "\n"
        + markdown(["model", *(case.split(" of ")[0] for case in parts)], rows)
    )


@table
def any_formula_mp_folds(results: Path) -> str:
    found = read(results, "any_formula_mp_folds")["results"]["5-fold"]
    rows = [
        [name, f"{scores['mae']['mean']:.4f} ± {scores['mae']['std']:.4f}"]
        for name, scores in found.items()
    ]
    return markdown(["model", "MAE"], rows)


def transfer(results: Path, case: str) -> str:
    curves = read(results, "transfer")["results"][case]["rows to train on"]
    rows = [
        [start, *(f"{curve[start]['mae']:.3f}" for curve in curves.values())]
        for start in curves["all"]
    ]
    return markdown(["model", *curves], rows)


STABILITY_SCORES = ("mae", "accuracy", "f1", "false_positive_rate", "precision_of_1000_lowest")


def stability_of(results: Path, task: str) -> str:
    found = read(results, "stability")["results"]["accuracy"][task]
    rows = [
        [name, *(f"{scores[key]:.{4 if key == 'mae' else 3}f}" for key in STABILITY_SCORES)]
        for name, scores in found.items()
    ]
    header = ["model", "MAE", "accuracy", "F1", "false-positive rate"]
    return markdown([*header, "stable of the 1,000 lowest"], rows)


TABLES["stability_predictions"] = partial(stability_of, task="hull of predictions")
TABLES["stability_calculations"] = partial(stability_of, task="hull of calculations")


@table
def stability_oxides(results: Path) -> str:
    found = read(results, "stability")["results"]["accuracy"]["oxides"]
    rows = [
        [
            name,
            f"{scores['mae']:.4f}",
            str(scores["true_positives"]),
            str(scores["false_positives"]),
        ]
        for name, scores in found.items()
    ]
    stable = next(iter(found.values()))["stable"]
    return markdown(["model", "MAE", f"found, of {stable} stable", "wrongly stable"], rows)


@table
def stability_probability(results: Path) -> str:
    found = read(results, "stability")["results"]["accuracy"]
    chances = found["probability"]
    cells = [[f"{share:.1%}" for share in chances[key]] for key in ("predicted", "observed")]
    worst = max(
        abs(one - other)
        for one, other in zip(chances["predicted"], chances["observed"], strict=True)
    )
    return (
        paragraph(
            "Probabilities of `StabilityClassifier`, calibrated on one fold and tested on the four "
            f"others, in tenths: the observed share of stable compounds differs by at most "
            f"{worst * 100:.1f} points. The rank correlation of error and standard deviation is "
            f"{found['rank correlation of error and std']:.2f}."
        )
        + "\n"
        + markdown(
            ["tenth", *map(str, range(1, len(cells[0]) + 1))],
            [["predicted", *cells[0]], ["observed", *cells[1]]],
        )
    )


@table
def stability_published(results: Path) -> str:
    found = read(results, "stability")["results"]["published decomposition energies"]
    return paragraph(
        f"The published decomposition energies of these {found['rows']:,} compounds are not exact: "
        f"those of an exact linear program are up to {found['largest_difference'] * 1000:.1f} "
        f"meV/atom higher, {found['rows_above_1_mev']} by more than 1 meV/atom, and "
        f"{found['other_label']} compounds change between stable and unstable. The tables "
        "use exact energies for all models."
    )


@table
def stability_speed(results: Path) -> str:
    found = read(results, "stability")["results"]
    solvers, oqmd, screening = found["solvers"], found["OQMD"], found["screening"]
    seconds, timed = solvers["cpu_seconds"], solvers["compounds_timed"]
    differences = solvers["largest_difference"]
    spans = ", ".join(
        f"{span['cpu_seconds']:.1f} ({name})" for name, span in found["candidates"].items()
    )
    return paragraph(
        f"Comparing {solvers['compounds']:,} compounds, each with all others, takes "
        f"{seconds['ours']:.1f} CPU-seconds after {seconds['fit']:.1f} to build the hull; HiGHS, "
        f"one linear program at a time, would take {seconds['HiGHS']:.0f} and pymatgen "
        f"{seconds['pymatgen']:.0f}, extrapolated from {timed['HiGHS']:,} and {timed['pymatgen']} "
        f"compounds. The energies agree within {differences['HiGHS']:.0e} and "
        f"{differences['pymatgen']:.0e} eV/atom. The {oqmd['rows']:,} compounds of the OQMD take "
        f"{oqmd['ours']:.1f} CPU-seconds after {oqmd['fit']:.1f}. A million candidates take, in "
        f"CPU-seconds: {spans}. Screening {screening['candidates']:,} quaternary candidates by "
        "decomposition energy, with the general model and its standard deviation, takes "
        f"{screening['seconds']:.0f} s on two cores and "
        f"{screening['peak_beyond_libraries_mb']:.0f} MB beyond libraries and model."
    )


TABLES["transfer_ssub"] = partial(transfer, case="SSUB, 10-fold")
TABLES["transfer_measured"] = partial(transfer, case="measured enthalpies, 10-fold")


@table
def measured_enthalpies(results: Path) -> str:
    found = read(results, "measured_enthalpies")["results"]
    rows = [[name, f"{found[name]['mae']:.4f}"] for name in found if name != "n_rows"]
    return markdown(["model", "MAE"], rows)


@table
def calibration(results: Path) -> str:
    found = read(results, "calibration")["results"]
    elements = ("Cl", "Ga", "Cs", "O")
    held_out = {run["element"]: run["coverage"] for run in found["runs"] if run["element"]}
    rows = []
    for name, levels in found["known elements"].items():
        cells = [f"{level['mean']:.1%}" for level in levels.values()]
        cells += [f"{held_out[element][name][2]:.0%}" for element in elements]
        rows.append([current(name), *cells])
    header = ["interval", "50%", "80%", "90%", "95%", *(f"{element}, 90%" for element in elements)]
    return markdown(header, rows)


@table
def speed(results: Path) -> str:
    found = read(results, "featurization")["results"]["elpasolites"]
    strings = found["strings to pooled features"]["median"]
    sites = found["site arrays of symbols to features"]["median"]
    magpie, embeddings = (
        1 / found[name]["ratio"]["median"]
        for name in ("matminer, Magpie, one process", "ElementEmbeddings, mean")
    )
    fits = read(results, "learning_curve")["results"]["n_train"]["8472"]["default pipeline"]
    return paragraph(
        f"On one core, {round(strings, -3):,.0f} formulas per second are parsed, checked and "
        f"turned into pooled features, and {sites / 1e6:.1f} million rows per second of site "
        "arrays into site features (`python benchmarks/featurization.py`). Pooled features are "
        f"{magpie:,.0f} times as fast as matminer's Magpie and {embeddings:.0f} times as fast as "
        f"ElementEmbeddings' mean. Fitting the default pipeline to 8,472 elpasolites takes about "
        f"{fits['seconds']['mean']:.0f} s on one core."
    )


@table
def screening(results: Path) -> str:
    found = read(results, "screening")["results"]
    hours = found["magpie_random_forest_seconds_extrapolated"] / 3600
    return paragraph(
        f"Predicting all {found['n_ordered']:,} elpasolites of 39 elements "
        f"({found['n_distinct']:,} of them distinct), with the mean and standard deviation of four "
        f"networks, takes {np.median(found['seconds']['values']):.0f} s on two cores and "
        f"{found['peak_memory_mb']:.0f} MB of memory beyond libraries and model (`python "
        "benchmarks/screening.py`). Its matrix products run at "
        f"{found['share_of_matrix_product_peak']:.0%} of the machine's peak matrix-multiply "
        f"throughput. Magpie features and a random forest would take {hours:.1f} hours, "
        f"extrapolated from {found['magpie_sample']:,} crystals. Predicting one row takes "
        f"{found['one_row_ms']:.1f} ms."
    )


@table
def edges(results: Path) -> str:
    found = read(results, "edges")["results"]
    memory = found["beyond_imports_mb"]
    space, states = found["first batch of the space"], found["mean oxidation states"]
    return paragraph(
        f"The first batch of a space of {space['n_candidates']['mean']:.1e} formulas needs "
        f"{memory['first batch of the space']:.0f} MB beyond the imports; charge balance with mean "
        f"oxidation states of odd denominators needs {memory['mean oxidation states']:.0f} MB and "
        f"{states['seconds']['mean']:.2f} CPU-seconds (`python benchmarks/edges.py`)."
    )


def featurization(results: Path, data: str) -> str:
    found = read(results, "featurization")["results"][data]
    rows = []
    for name, way in found.items():
        ratio, rates = way["ratio"], way["rows_per_cpu_second"]["values"]
        per_cpu = f"{way['median']:,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        of = 1 / ratio["median"]
        times = f"{of:,.0f}" if of >= 10 else f"{of:.2g}"
        if "gather" in ratio["to"]:
            times = "–"
        if way["largest_child_mb"]:
            memory = f"{way['peak_mb']:,.0f} and {way['largest_child_mb']:,.0f} a child"
        else:
            memory = f"{way['peak_mb']:,.0f} ({way['peak_beyond_libraries_mb']:,.0f})"
        clock = f"{np.median(way['rows_per_second']['values']):,.0f}"
        rows.append([name, f"{way['timed_rows']:,}", per_cpu, times, clock, memory])
    header = ["features", "rows timed", "rows per CPU-second", "pooled is faster by"]
    return markdown([*header, "rows per second", "peak memory, MB"], rows, 5)


TABLES["featurization_elpasolites"] = partial(featurization, data="elpasolites")
TABLES["featurization_oqmd"] = partial(featurization, data="OQMD")


def with_and_without_features(mean: dict[str, float], key: str, digits: int) -> str:
    bare = mean.get(f"{key}_without_features")
    inside = "–" if bare is None else f"{bare:,.{digits}f}"
    return f"{mean[key]:,.{digits}f} ({inside})"


def regressors_of(results: Path, data: str) -> str:
    found = read(results, "regressors")["results"][data]
    rows = []
    for name, scores in found["models"].items():
        mean = {key: score["mean"] for key, score in scores.items()}
        mae = f"{mean['mae']:.4f}"
        if len(scores["mae"]["values"]) > 1:
            mae += f" ± {scores['mae']['std']:.4f}"
        cells = [
            f"{name}, {mean['passes']:.0f} epochs" if "passes" in mean else name,
            mae,
            f"{mean['rmse']:.3f}",
            with_and_without_features(mean, "fit_cpu_seconds", 0),
            f"{mean['fit_seconds']:,.0f}",
            with_and_without_features(mean, "predict_cpu_us", 1),
            f"{mean['fit_peak_mb']:,.0f} ({mean['fit_peak_beyond_libraries_mb']:,.0f})",
        ]
        rows.append(cells)
    header = ["regressor", "MAE", "RMSE", "fit, CPU-s", "fit, s", "predict a row, CPU-µs"]
    return markdown([*header, "peak memory, MB"], rows, 6)


TABLES["regressors_elpasolites"] = partial(regressors_of, data="elpasolites")
TABLES["regressors_mp"] = partial(regressors_of, data="Materials Project")


@table
def growth_rows(results: Path) -> str:
    found = read(results, "growth")["results"]
    rows = []
    for task, sizes in found["rows"].items():
        label = f"fit, {found['passes']} epochs" if task == "fit" else task
        for n, costs in sizes.items():
            seconds, memory = costs["cpu_seconds"]["median"], costs["peak_mb"]["median"]
            per_row = f"{seconds / int(n) * 1e6:,.1f}"
            rows.append([label, f"{int(n):,}", f"{seconds:,.2f}", per_row, f"{memory:,.0f}"])
    return markdown(["", "rows", "CPU-s", "CPU-µs per row", "peak memory, MB"], rows, 4)


@table
def growth_exponents(results: Path) -> str:
    found = read(results, "growth")["results"]
    return paragraph(
        " ".join(
            f"From {least:,} rows on, the time to {task} grows as the number of rows to the power "
            f"{found['exponents'][task]:.2f}."
            for task, least in found["from rows"].items()
        )
    )


@table
def growth_elements(results: Path) -> str:
    digits = {"fit_us_per_row_and_pass": 1, "predict_us_per_row": 1, "n_weights": 0}
    rows = []
    for network, codes in read(results, "growth")["results"]["elements"].items():
        for code, found in codes.items():
            few, *_, many = found["n_elements"].values()
            cells = [
                f"{few[key]['median']:,.{n}f} → {many[key]['median']:,.{n}f} "
                f"({found['most to fewest'][key]['median']:.2f})"
                for key, n in digits.items()
            ]
            rows.append([network, code, *cells])
    header = ["network", "elements as", "fit, CPU-µs per row and epoch", "predict, CPU-µs per row"]
    return markdown([*header, "weights"], rows, 3)


@table
def conformance_checks(results: Path) -> str:
    rows = []
    for tool in read(results, "conformance")["results"].values():
        package, package_version = next(iter(tool["versions"].items()))
        for name, found in tool["checks"].items():
            if "refused" in found:
                checked = f"refused: {found['refused'].split('. ')[0]}".replace("`", "")
            else:
                checked = f"{found['passed']} of {found['checks']} pass"
                checked += f", {found['skipped']} skipped" if found["skipped"] else ""
            answers = [
                tool["interface"][name].get(key, "–").split(":")[0]
                for key in ("clone", "get_feature_names_out", "set_output")
            ]
            rows.append([f"{package} {package_version}", f"`{name}`", checked, *answers])
    tried = ("check_estimator", "clone", "get_feature_names_out", "set_output")
    return markdown(["package", "estimator", *(f"`{name}`" for name in tried)], rows)


@table
def conformance_bad_rows(results: Path) -> str:
    tools = read(results, "conformance")["results"]
    rows = []
    for case in next(iter(tools.values()))["bad rows"]:
        cells = []
        for tool in tools.values():
            found = tool["bad rows"][case]
            if found["outcome"] == "error":
                named = [what for what in ("value", "row") if found[f"names the {what}"]]
                cells.append(" of ".join(["error", " and ".join(named)]) if named else "error")
            else:
                outcome = found["outcome"].replace("numbers", "**numbers**")
                cells.append(outcome + (", with a note" if found["said"] else ""))
        rows.append([case, *cells])
    return markdown(["one row of 21", *tools], rows)


def representations_of(results: Path, task_name: str) -> str:
    content = read(results, "representations")["results"]
    numbers = content["numbers of an element"]
    regressors = content["tasks"][task_name]["regressors"]
    best = {
        regressor: min(scores, key=lambda name, scores=scores: scores[name]["mae"]["mean"])
        for regressor, scores in regressors.items()
    }
    network = next(iter(regressors.values()))
    everything = {
        name: f"{scores['mae of all']['mean']:.4f}"
        for name, scores in network.items()
        if scores["mae of all"] != scores["mae"]
    }
    rows = []
    for name, number in sorted(numbers.items(), key=lambda item: item[1]):
        cells = []
        for regressor, scores in regressors.items():
            mae, compared = scores[name]["mae"], scores[name].get("compared")
            cell = f"{mae['mean']:.4f} ± {mae['std']:.4f}"
            cell = f"**{cell}**" if name == best[regressor] else cell
            cells.append(f"{cell} {compared['ours']}" if compared else cell)
        rows.append([name, str(number), *cells, *([everything[name]] if everything else [])])
    header = ["representation", "size", *(f"`{name}`" for name in regressors)]
    return markdown([*header, *(["network, all elements"] if everything else [])], rows)


TABLES["representations_random"] = partial(
    representations_of, task_name="elpasolites, random split"
)
TABLES["representations_held_out"] = partial(
    representations_of, task_name="elpasolites, held-out elements"
)
TABLES["representations_enthalpies"] = partial(representations_of, task_name="measured enthalpies")


@table
def representations_leads(results: Path) -> str:
    rows, header = [], ["task", "regressor"]
    for task_name, task in read(results, "representations")["results"]["tasks"].items():
        for regressor, leads in task["leads"].items():
            header[2:] = [f"others {group}" for group in leads]
            cells = [f"{lead['share']:+.0%} ({lead['best other']})" for lead in leads.values()]
            rows.append([task_name, f"`{regressor}`", *cells])
    return markdown(header, rows)


@table
def environments(results: Path) -> str:
    """List the versions of the peers, from their pins."""
    from _environments import NAMES, pins

    rows = []
    for name in NAMES:
        found = {package.casefold(): number for package, number in pins(name).items()}
        others = ", ".join(f"{p} {found[p]}" for p in ("numpy", "pandas", "torch") if p in found)
        rows.append([name, found[name], others, f"[{len(found)} pins](peers/{name}.txt)"])
    return markdown(["environment", "version", "with", "all"], rows)


def rewritten(page: str, results: Path) -> str:
    """Return the page with all tables updated from the results files."""

    def block(match: re.Match[str]) -> str:
        return match["begin"] + TABLES[match["name"]](results) + match["end"]

    return BLOCK.sub(block, page)


def main() -> None:
    """Rewrite the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a table is out of date")
    parser.add_argument("--results", type=Path, default=FOLDER / "results", help="folder to read")
    parser.add_argument("pages", type=Path, nargs="*", default=PAGES, metavar="PAGE")
    arguments = parser.parse_args()
    stale = []
    for page in arguments.pages:
        text = page.read_text(encoding="utf-8")
        new = rewritten(text, arguments.results)
        if new != text:
            stale.append(str(page))
            if not arguments.check:
                page.write_text(new, encoding="utf-8")
                print(f"Wrote the tables of {page}.")
    if arguments.check and stale:
        raise SystemExit(f"Out of date: {', '.join(stale)}; run python benchmarks/_tables.py")


if __name__ == "__main__":
    main()
