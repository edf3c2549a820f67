"""The command that compares compounds with the phases that they compete with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from sklearn_elmodes.cli._common import (
    Model,
    check_outputs,
    formula_option,
    formulas_option,
    input_format_option,
    json_option,
    load,
    one_line_errors,
    output_option,
    set_aside_options,
    table_type,
)


def hull_options(function: Any) -> Any:
    """Add the options that describe the competing phases."""
    for option in (
        click.option(
            "--hull-energy",
            default="energy",
            show_default=True,
            help="With a table as --hull: name of the column with formation energies in eV/atom.",
        ),
        click.option(
            "--hull",
            metavar="PHASES",
            help='Competing phases: "oqmd", the included phases of the OQMD; a table with a column '
            '"formula"; a JSON file of the Materials Project; or a file written by '
            "CompetingPhases.save.",
        ),
    ):
        function = option(function)
    return function


def load_hull(hull: str, energy: str) -> Any:
    """Return the hull of the included phases, or of those in a file."""
    from sklearn_elmodes import CompetingPhases

    if hull == "oqmd":
        from sklearn_elmodes.datasets import load_oqmd_phases

        return CompetingPhases("OQMD").fit(*load_oqmd_phases(return_X_y=True))
    if not Path(hull).is_file():
        raise click.UsageError(f'--hull {hull}: give "oqmd" or the path of a file.')
    if Path(hull).suffix == ".safetensors":
        return CompetingPhases.load(hull)
    try:
        if Path(hull).suffix == ".json":
            return CompetingPhases("Materials Project").fit(*_of_materials_project(hull))
        from sklearn_elmodes.cli._tables import numbers, read_table, take_column

        table = read_table(hull)
        energies, reasons = numbers(take_column(table, energy, hull))
        for row, reason in sorted(reasons.items()):
            raise ValueError(f"Row {row}: {reason}")
        return CompetingPhases().fit(take_column(table, "formula", hull), energies)
    except ValueError as error:
        raise ValueError(f"--hull {hull}: {error}") from error


def _of_materials_project(path: str) -> tuple[Any, Any]:
    """Read formulas and formation energies, or entries, as the Materials Project returns them."""
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"it is not valid JSON: {error}") from error
    if isinstance(rows, dict):
        rows = rows.get("data", rows.get("response"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it must contain a list of documents or entries.")
    kinds = {str(row["thermo_type"]) for row in rows if row.get("thermo_type")}
    if len(kinds) > 1:
        raise ValueError(
            f"it mixes energies of {', '.join(sorted(kinds))}; keep one thermo_type, since they "
            "differ systematically."
        )
    if all("formation_energy_per_atom" in row for row in rows):
        names = ("formula_pretty", "pretty_formula", "composition")
        formulas = [next((row[n] for n in names if n in row), None) for row in rows]
        return formulas, [row["formation_energy_per_atom"] for row in rows]
    if not all({"composition", "energy"} <= row.keys() for row in rows):
        raise ValueError(
            'each document needs "formation_energy_per_atom", or each entry "composition" and '
            '"energy".'
        )
    from pymatgen.entries.computed_entries import ComputedEntry

    try:
        return [
            ComputedEntry.from_dict({**row, "energy": float(row["energy"])}) for row in rows
        ], None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"an entry cannot be read: {error!r}") from error


@click.command(
    short_help="Compare compounds with competing phases.",
    epilog="\b\nExamples:\n"
    "  elmodes stability NaCl3 Li2FeO3 --model oqmd\n"
    "  elmodes stability -i mine.csv --energy e_form --hull phases.csv --hull-energy e_form",
)
@click.argument("formulas", nargs=-1)
@click.option(
    "-i",
    "--input",
    "table",
    type=table_type,
    help="Table with a column of formulas, instead of FORMULAS; - is standard input.",
)
@hull_options
@click.option("--model", type=Model(), help="Model that predicts the energies of the compounds.")
@click.option(
    "--energy",
    help="Instead of --model: name of the column with the formation energies of the compounds, "
    "in eV/atom.",
)
@formula_option
@formulas_option
@input_format_option
@output_option
@json_option
@set_aside_options
@one_line_errors
def stability(
    formulas: tuple[str, ...],
    table: str | None,
    hull: str | None,
    hull_energy: str,
    model: str | None,
    energy: str | None,
    formula: str,
    notation: str | None,
    input_format: str | None,
    output: str,
    as_json: bool,
    on_error: str,
    rejected: str | None,
) -> None:
    """Compare FORMULAS, or those of a table, with all phases of other compositions.

    Adds the energy of the best mixture of competing phases, "hull_energy", and the phases in
    it, "products", with their shares of the atoms. With --model or --energy, adds the energy
    relative to the mixture, "decomposition_energy": at most 0 for a stable compound.
    """
    if bool(formulas) == (table is not None):
        raise click.UsageError("Give either FORMULAS or --input.")
    if energy is not None and (model is not None or table is None):
        raise click.UsageError("--energy needs --input, and cannot be combined with --model.")
    check_outputs(output, inputs=[table, hull, model], on_error=on_error, rejected=rejected)
    import pandas as pd

    from sklearn_elmodes._formula_grammar import OF_ESTIMATORS, Rules
    from sklearn_elmodes.cli._rows import check_formulas, predict_rows, set_aside
    from sklearn_elmodes.cli._tables import numbers, read_table, take_column, write_table
    from sklearn_elmodes.formulas import _read_formulas
    from sklearn_elmodes.stability import write_mixture

    phases = load_hull(hull or "oqmd", hull_energy)
    pipeline = None if model is None else load(model, notation)
    if pipeline is not None:
        phases._check_source(pipeline)
    if table is None:
        frame = pd.DataFrame({formula: list(formulas)}, dtype=object)
    else:
        frame = read_table(table, input_format)
    column = take_column(frame, formula, table or "The table")
    if pipeline is None:
        rules = Rules(clean=True, has_options=False) if notation == "clean" else OF_ESTIMATORS
        reasons = dict(_read_formulas(column, rules).rejected)
    else:
        column, reasons = check_formulas(pipeline[0], column)
    given = None
    if energy is not None:
        given, more = numbers(take_column(frame, energy, table or "The table"))
        reasons |= more
    added = {"hull_energy", "products"}
    added |= {"decomposition_energy"} if pipeline or energy else set()
    added |= {"predicted", "std"} if pipeline else set()
    for name in sorted(added):
        if name in frame:
            raise ValueError(f"The table already has a column {name!r}; rename it.")
    set_aside(frame, reasons, on_error, rejected)
    valid = np.delete(np.arange(len(frame)), list(reasons))
    column = column[valid]
    if pipeline is None and notation == "clean":
        column = _read_formulas(column, rules).complete()
        column = np.array([column[row] for row in range(len(column))], dtype=object)
    results: dict[str, Any] = {} if pipeline is None else predict_rows(pipeline, column)
    results["hull_energy"] = phases.hull_energy(column, exclude_self=True)
    own = results.get("predicted", None if given is None else given[valid])
    if own is not None:
        results["decomposition_energy"] = own - results["hull_energy"]
    results["products"] = [
        write_mixture(mixture) for mixture in phases.decompose(column, exclude_self=True)
    ]
    write_table(frame.iloc[valid].assign(**results), output, as_json=as_json)
