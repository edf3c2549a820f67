"""The commands that use a fitted model: predict, screen, info and report."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from sklearn_elmodes.cli._common import (
    Model,
    check_outputs,
    check_prototype,
    echo_json,
    formula_option,
    formulas_option,
    input_format_option,
    json_option,
    kind_of,
    load,
    one_line_errors,
    output_option,
    set_aside_options,
    shell_command,
    split_list,
    table_type,
)
from sklearn_elmodes.cli._stability import hull_options, load_hull


@click.command(
    short_help="Predict the energies of formulas.",
    epilog="\b\nExamples:\n"
    "  elmodes predict oqmd NaCl 'Ca(OH)2'\n"
    "  elmodes predict oqmd -i formulas.csv --on-error skip -o predicted.csv",
)
@click.argument("model", type=Model())
@click.argument("formulas", nargs=-1)
@click.option(
    "-i",
    "--input",
    "table",
    type=table_type,
    help="Table with a column of formulas, instead of FORMULAS; - is standard input.",
)
@formula_option
@formulas_option
@input_format_option
@output_option
@json_option
@set_aside_options
@one_line_errors
def predict(
    model: str,
    formulas: tuple[str, ...],
    table: str | None,
    formula: str,
    notation: str | None,
    input_format: str | None,
    output: str,
    as_json: bool,
    on_error: str,
    rejected: str | None,
) -> None:
    """Predict the energies of FORMULAS, or of a column of formulas in a table.

    MODEL is a file written by "elmodes train" or save_model, or the name of an included
    model, such as "elpasolites". The output keeps the columns of the table and adds
    "predicted" and, if the model has several networks, their standard deviation "std",
    in the units of the training data.
    """
    if bool(formulas) == (table is not None):
        raise click.UsageError("Give either FORMULAS or --input.")
    check_outputs(output, inputs=[model, table], on_error=on_error, rejected=rejected)
    import numpy as np
    import pandas as pd

    from sklearn_elmodes.cli._rows import check_formulas, predict_rows, set_aside
    from sklearn_elmodes.cli._tables import read_table, take_column, write_table

    pipeline = load(model, notation)
    if table is None:
        frame = pd.DataFrame({formula: list(formulas)}, dtype=object)
    else:
        frame = read_table(table, input_format)
    for name in ("predicted", "std"):
        if name in frame:
            raise ValueError(f"The table already has a column {name!r}; rename it.")
    column = take_column(frame, formula, table or "The table")
    column, reasons = check_formulas(pipeline[0], column)
    set_aside(frame, reasons, on_error, rejected)
    valid = np.delete(np.arange(len(frame)), list(reasons))
    kept = frame.iloc[valid]
    write_table(kept.assign(**predict_rows(pipeline, column[valid])), output, as_json=as_json)


@click.command(
    short_help="Rank candidate formulas or crystals.",
    epilog="\b\nExamples:\n"
    "  elmodes screen elpasolites -e Li,Na,K,Al,Ga -s D=F,Cl --charge-balanced\n"
    "  elmodes screen oqmd -e Li,Fe,P,O --n-elements 3,4 --hull oqmd -k 20 -o best.csv",
)
@click.argument("model", type=Model())
@click.option("-e", "--elements", help="Elements to combine, such as Li,Na,K,Al,F.", metavar="LIST")
@click.option(
    "-s",
    "--site",
    "sites",
    multiple=True,
    metavar="SITE=LIST",
    help="With a prototype: elements of one site, such as D=F,Cl, instead of --elements; may be "
    "repeated.",
)
@click.option(
    "--prototype", help="Structure of the candidates; must match MODEL.  [default: as MODEL]"
)
@click.option(
    "--n-elements",
    metavar="LIST",
    help="Without a prototype: numbers of elements in a formula.  [default: 2,3]",
)
@click.option(
    "--max-amount",
    type=click.IntRange(1, 999),
    default=6,
    show_default=True,
    help="Without a prototype: largest amount of an element in a formula.",
)
@click.option(
    "--charge-balanced",
    is_flag=True,
    help="Keep only candidates that are neutral in common oxidation states.",
)
@click.option(
    "--exclude-elements",
    default="",
    metavar="LIST",
    help="Leave out candidates that contain one of these elements.",
)
@click.option(
    "-k",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Number of candidates to write.",
)
@click.option(
    "--objective",
    type=click.Choice(["min", "max", "decomposition_energy"]),
    help="Whether the lowest or the highest predictions are best, or the lowest energies relative "
    "to the phases of --hull.  [default: decomposition_energy with --hull, else min]",
)
@hull_options
@click.option(
    "--max-above-hull",
    type=float,
    help="With --hull: leave out candidates with a larger decomposition energy, in eV/atom.",
)
@click.option(
    "--max-std",
    type=float,
    help="Leave out predictions with a larger std.  [default: std of the training targets]",
)
@output_option
@json_option
@click.option(
    "--all",
    "folder",
    type=click.Path(file_okay=False),
    help="Folder for all predictions, as Parquet files; an interrupted run resumes from it.",
)
@click.option("--jobs", type=int, help="Number of processes; one already uses all cores.")
@one_line_errors
def screen(
    model: str,
    elements: str | None,
    sites: tuple[str, ...],
    prototype: str | None,
    n_elements: str | None,
    max_amount: int,
    charge_balanced: bool,
    exclude_elements: str,
    k: int,
    objective: str | None,
    hull: str | None,
    hull_energy: str,
    max_above_hull: float | None,
    max_std: float | None,
    output: str,
    as_json: bool,
    folder: str | None,
    jobs: int | None,
) -> None:
    """Predict every candidate and write the best ones.

    MODEL is a file written by "elmodes train" or save_model, or the name of an included
    model, such as "elpasolites". If MODEL has a prototype, the candidates are all crystals
    of that structure; otherwise all formulas with amounts up to --max-amount.
    """
    from sklearn_elmodes import screen as run_screen
    from sklearn_elmodes.applicability import widest_std
    from sklearn_elmodes.candidates import FormulaCandidates
    from sklearn_elmodes.cli._tables import write_table

    check_outputs(output, inputs=[model, hull])
    if hull is None and (objective == "decomposition_energy" or max_above_hull is not None):
        raise click.UsageError("Decomposition energies need --hull.")
    if n_elements is not None and not re.fullmatch("[0-9]+(,[0-9]+)*", n_elements):
        raise click.UsageError(f"--n-elements {n_elements}: separate numbers by commas, as in 2,3.")
    pipeline = load(model)
    check_prototype(prototype, pipeline, model)
    own = pipeline[0].prototype_
    states = "common" if charge_balanced else None
    space: Any
    if own is None:
        if elements is None or sites:
            raise click.UsageError(f"{model} has no prototype: give --elements instead of --site.")
        space = FormulaCandidates(
            split_list(elements),
            n_elements=[int(n) for n in n_elements.split(",")] if n_elements else None,
            amounts=range(1, max_amount + 1),
            oxidation_states=states,
        )
    else:
        by_site = dict.fromkeys(own.sites, elements)
        given = [text.partition("=")[0] for text in sites]
        for text in sites:
            site, _, listed = text.partition("=")
            if site not in by_site or not listed or given.count(site) > 1:
                raise click.UsageError(
                    f"--site {text}: write SITE=LIST, once for each site; the sites are "
                    f"{', '.join(own.sites)}."
                )
            by_site[site] = listed
        missing = [site for site, listed in by_site.items() if listed is None]
        if missing:
            raise click.UsageError(f"Give --elements, or --site for {', '.join(missing)}.")
        space = own.candidates(
            {site: split_list(listed or "") for site, listed in by_site.items()},
            oxidation_states=states,
        )
    if not len(space):
        raise ValueError("No candidate can be formed from these elements and options.")
    several = pipeline[-1]._has_std
    if max_std is None and several:
        max_std = widest_std(pipeline)
    try:
        best = run_screen(
            pipeline,
            space,
            k=k,
            objective=objective or ("min" if hull is None else "decomposition_energy"),
            hull=None if hull is None else load_hull(hull, hull_energy),
            max_above_hull=max_above_hull,
            return_std=several,
            max_std=max_std,
            exclude_elements=split_list(exclude_elements),
            output=folder,
            n_jobs=jobs,
            verbose=int(sys.stderr.isatty()),
        )
    except KeyboardInterrupt:
        kept = "Nothing was written; use --all FOLDER to make screening resumable."
        if folder is not None:
            done = len(list(Path(folder).glob("part-*.parquet")))
            kept = f"{done} batches are saved in {folder}; run the same command to resume."
        raise KeyboardInterrupt(kept) from None
    if best.empty:
        click.echo(
            "Warning: no candidates are left; relax --max-std, --max-above-hull or "
            "--exclude-elements.",
            err=True,
        )
    write_table(best.reset_index(), output, as_json=as_json)


@click.command(short_help="Describe a model.", epilog="\b\nExample:\n  elmodes info oqmd")
@click.argument("model", type=Model())
@json_option
@one_line_errors
def info(model: str, as_json: bool) -> None:
    """Print the model card of MODEL, its network and the elements that it has modes for."""
    pipeline = load(model)
    transformer, regressor = pipeline[0], pipeline[-1]
    facts = {
        "model": model,
        "predicts": kind_of(pipeline),
        "networks": regressor.n_estimators,
        "weights": sum(w.numel() for w in regressor.net_.module_.parameters()),
        "calibrated_std": bool(regressor.calibrate_std),
        "modes_of_an_element": transformer.modes_.shape[1],
        "elements_with_modes": list(transformer.modes_.index),
        "steps": {
            name: {
                key: value
                for key, value in step.get_params(deep=False).items()
                if isinstance(value, str | int | float | bool | tuple | None)
            }
            for name, step in pipeline.steps
        },
        "written_by": pipeline.model_versions_,
        "card": pipeline.model_card_,
    }
    if as_json:
        echo_json(facts)
        return
    if facts["card"]:
        click.echo(facts["card"].rstrip() + "\n")
    for name in ("predicts", "networks", "weights", "calibrated_std", "modes_of_an_element"):
        click.echo(f"{name.replace('_', ' ') + ':':<22}{facts[name]}")
    click.echo("elements with modes:  " + _ranges(facts["elements_with_modes"]))
    written = ", ".join(f"{k} {v}" for k, v in facts["written_by"].items())
    click.echo(f"written by:           {written}")


def _ranges(symbols: list[str]) -> str:
    """Abbreviate runs of consecutive elements, such as H-Lr."""
    from sklearn_elmodes.elements import ATOMIC_NUMBERS

    runs: list[list[str]] = []
    for symbol in sorted(symbols, key=ATOMIC_NUMBERS.__getitem__):
        if runs and ATOMIC_NUMBERS[symbol] == ATOMIC_NUMBERS[runs[-1][-1]] + 1:
            runs[-1].append(symbol)
        else:
            runs.append([symbol])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


@click.command(
    short_help="Write an HTML report on a model.",
    epilog="\b\nExample:\n  elmodes report oqmd -i new.csv --target energy -o report.html",
)
@click.argument("model", type=Model())
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    required=True,
    help="HTML file to write; it opens offline.",
)
@click.option(
    "-i", "--input", "table", type=table_type, help="Table with formulas and true values."
)
@formula_option
@click.option("--target", help="Name of the column with true values; required with --input.")
@click.option("--unit", help="Unit of the target. Default: eV/atom if the values look like it.")
@formulas_option
@input_format_option
@set_aside_options
@one_line_errors
def report(
    model: str,
    output: str,
    table: str | None,
    formula: str,
    target: str | None,
    unit: str | None,
    notation: str | None,
    input_format: str | None,
    on_error: str,
    rejected: str | None,
) -> None:
    """Write an HTML report on MODEL and, with --input, on its errors.

    Errors on rows that MODEL was trained on say nothing about new rows;
    "elmodes evaluate --report" trains and tests on separate rows.
    """
    if (table is None) != (target is None):
        raise click.UsageError("Give --input and --target together, or neither.")
    check_outputs(output, inputs=[model, table], on_error=on_error, rejected=rejected)
    from sklearn_elmodes.cli._rows import predict_rows, read_labelled, tell_unit
    from sklearn_elmodes.report import write_report

    pipeline = load(model, notation)
    predictions = None
    if table is not None and target is not None:
        rows = read_labelled(pipeline[0], table, input_format, formula, target, on_error, rejected)
        unit = tell_unit(rows, unit, pipeline[0].prototype)
        predictions = rows.assign(**predict_rows(pipeline, rows["formula"].to_numpy()))
    write_report(
        output,
        pipeline,
        predictions=predictions,
        scheme=f"the model applied to {table}; errors on rows that it was trained on say nothing "
        "about new rows",
        target=target or "formation energy",
        unit="eV/atom" if unit is None else unit,
        command=shell_command(),
        source=model,
    )
