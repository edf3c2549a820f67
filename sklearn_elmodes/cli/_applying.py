"""Commands that use a model that is there: predict, screen, info and report."""

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


@click.command(short_help="Predict the energies of formulas.")
@click.argument("model", type=Model())
@click.argument("formulas", nargs=-1)
@click.option(
    "-i",
    "--input",
    "table",
    type=table_type,
    help="Table with a column of formulas, in place of FORMULAS; - is standard input.",
)
@formula_option
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
    input_format: str | None,
    output: str,
    as_json: bool,
    on_error: str,
    rejected: str | None,
) -> None:
    """Predict the energies of FORMULAS, or of a column of a table.

    MODEL is a file that save_model or "elmodes train" wrote, or the name of a model that
    ships, as "elpasolites". Adds the columns "predicted" and, if the model has several
    networks, "std", in the units of the model's training data; all other columns
    stay as they are.
    """
    if bool(formulas) == (table is not None):
        raise click.UsageError("Give either FORMULAS or --input.")
    check_outputs(output, inputs=[model, table], on_error=on_error, rejected=rejected)
    import pandas as pd

    from sklearn_elmodes.cli._rows import predict_rows, set_aside
    from sklearn_elmodes.cli._tables import read_table, take_column, write_table

    pipeline = load(model)
    if table is None:
        frame = pd.DataFrame({formula: list(formulas)}, dtype=object)
    else:
        frame = read_table(table, input_format)
    for name in ("predicted", "std"):
        if name in frame:
            raise ValueError(f"The table already has a column {name!r}; rename it.")
    column = take_column(frame, formula, table or "The table")
    valid, bad = pipeline[0].check_rows(column)
    set_aside(frame, dict(bad["reason"]), on_error, rejected)
    kept = frame.iloc[valid]
    write_table(kept.assign(**predict_rows(pipeline, column[valid])), output, as_json=as_json)


@click.command(short_help="Predict all candidates of a space and write the best.")
@click.argument("model", type=Model())
@click.option(
    "-e", "--elements", help="Symbols to choose from, for all sites: Li,Na,K,Al,F.", metavar="LIST"
)
@click.option(
    "-s",
    "--site",
    "sites",
    multiple=True,
    metavar="SITE=LIST",
    help="Symbols for one site, in place of --elements there: D=F,Cl. May be repeated.",
)
@click.option(
    "--prototype", help="Structure of the candidates; must be that of the model, its default."
)
@click.option(
    "--n-elements",
    metavar="LIST",
    help="Without sites: how many elements a formula has; 2,3 if left out.",
)
@click.option(
    "--max-amount",
    type=click.IntRange(1, 999),
    default=6,
    show_default=True,
    help="Without sites: largest amount of each.",
)
@click.option("--charge-balanced", is_flag=True, help="Only what common oxidation states balance.")
@click.option(
    "--exclude-elements",
    default="",
    metavar="LIST",
    help="Leave out candidates with one of these elements.",
)
@click.option(
    "-k",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="How many of the best to write.",
)
@click.option("--objective", type=click.Choice(["min", "max"]), default="min", show_default=True)
@click.option(
    "--max-std",
    type=float,
    help="Leave out predictions of a larger std; if not given, than the training targets have.",
)
@output_option
@json_option
@click.option(
    "--all",
    "folder",
    type=click.Path(file_okay=False),
    help="Folder for all predictions, as Parquet files. A run that stopped goes on from there.",
)
@click.option("--jobs", type=int, help="Processes; one already uses all cores.")
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
    objective: str,
    max_std: float | None,
    output: str,
    as_json: bool,
    folder: str | None,
    jobs: int | None,
) -> None:
    """Predict every candidate of a space, and write the best.

    MODEL is a file that save_model wrote, or the name of a model that ships, as
    "elpasolites". A model with a prototype screens all crystals of that structure, any
    other model all formulas with amounts up to a limit.
    """
    from sklearn_elmodes import screen as run_screen
    from sklearn_elmodes.applicability import widest_std
    from sklearn_elmodes.candidates import FormulaCandidates
    from sklearn_elmodes.cli._tables import write_table

    check_outputs(output, inputs=[model])
    if n_elements is not None and not re.fullmatch("[0-9]+(,[0-9]+)*", n_elements):
        raise click.UsageError(f"--n-elements {n_elements}: write numbers with commas: 2,3.")
    pipeline = load(model)
    check_prototype(prototype, pipeline, model)
    own = pipeline[0].prototype_
    states = "common" if charge_balanced else None
    space: Any
    if own is None:
        if elements is None or sites:
            raise click.UsageError(f"{model} has no sites: give --elements, and no --site.")
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
                    f"--site {text}: write SITE=LIST once for one of the sites "
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
        raise ValueError("There are no such candidates.")
    several = pipeline[-1]._has_std
    if max_std is None and several:
        max_std = widest_std(pipeline)
    try:
        best = run_screen(
            pipeline,
            space,
            k=k,
            objective=objective,
            return_std=several,
            max_std=max_std,
            exclude_elements=split_list(exclude_elements),
            output=folder,
            n_jobs=jobs,
            verbose=int(sys.stderr.isatty()),
        )
    except KeyboardInterrupt:
        kept = "Nothing was kept; with --all FOLDER the next run goes on where this one stopped."
        if folder is not None:
            done = len(list(Path(folder).glob("part-*.parquet")))
            kept = f"{done} batches are in {folder}; the same command goes on from there."
        raise KeyboardInterrupt(kept) from None
    if best.empty:
        click.echo("Warning: no candidate is left.", err=True)
    write_table(best.reset_index(), output, as_json=as_json)


@click.command(short_help="Tell what a model is.")
@click.argument("model", type=Model())
@json_option
@one_line_errors
def info(model: str, as_json: bool) -> None:
    """Tell what MODEL is: its card, its network, the elements it has modes of."""
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
    """Write elements that follow each other in the periodic table as H-Lr."""
    from sklearn_elmodes.elements import ATOMIC_NUMBERS

    runs: list[list[str]] = []
    for symbol in sorted(symbols, key=ATOMIC_NUMBERS.__getitem__):
        if runs and ATOMIC_NUMBERS[symbol] == ATOMIC_NUMBERS[runs[-1][-1]] + 1:
            runs[-1].append(symbol)
        else:
            runs.append([symbol])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


@click.command(short_help="Describe a model in an HTML page.")
@click.argument("model", type=Model())
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    required=True,
    help="HTML file to write; it needs no network to be opened.",
)
@click.option(
    "-i", "--input", "table", type=table_type, help="Table of formulas and true values to compare."
)
@formula_option
@click.option("--target", help="Name of the column of true values; needed with --input.")
@click.option("--unit", default="eV/atom", show_default=True)
@input_format_option
@set_aside_options
@one_line_errors
def report(
    model: str,
    output: str,
    table: str | None,
    formula: str,
    target: str | None,
    unit: str,
    input_format: str | None,
    on_error: str,
    rejected: str | None,
) -> None:
    """Describe MODEL in an HTML page, and how it does on a table of true values.

    Rows of the table that the model was trained on say nothing about new ones;
    "elmodes evaluate --report" trains and tests on separate rows.
    """
    if (table is None) != (target is None):
        raise click.UsageError("--input and --target go together.")
    check_outputs(output, inputs=[model, table], on_error=on_error, rejected=rejected)
    from sklearn_elmodes.cli._rows import predict_rows, read_labelled
    from sklearn_elmodes.report import write_report

    pipeline = load(model)
    predictions = None
    if table is not None and target is not None:
        rows = read_labelled(pipeline[0], table, input_format, formula, target, on_error, rejected)
        predictions = rows.assign(**predict_rows(pipeline, rows["formula"].to_numpy()))
    write_report(
        output,
        pipeline,
        predictions=predictions,
        scheme=f"predictions of {table}; rows that the model was trained on say nothing about new "
        "ones",
        target=target or "formation energy",
        unit=unit,
        command=shell_command(),
        source=model,
    )
