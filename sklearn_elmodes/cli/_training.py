"""The commands that train models: train and evaluate."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    load,
    one_line_errors,
    set_aside_options,
    shell_command,
    table_type,
)

# Parameters copied from the pretrained model.
_LAYERS = (
    "max_elements",
    "encoder_layer_sizes",
    "hidden_layer_sizes",
    "activation",
    "encoder_activation",
    "n_estimators",
)


def _training_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the pipeline and of the training table."""
    for option in (
        click.option("--seed", type=int, default=0, show_default=True, help="Random seed."),
        click.option(
            "--calibrate-std",
            is_flag=True,
            help="Scale the predicted std to the errors on held-out rows; trains twice.",
        ),
        click.option(
            "--max-iter",
            type=click.IntRange(1),
            help="Number of epochs. Default: 150, or 30 for fine-tuning.",
        ),
        click.option(
            "--n-estimators",
            type=click.IntRange(1),
            help="Number of networks. Default: 4 with --prototype, else 2; or as in --pretrained.",
        ),
        click.option(
            "--freeze",
            type=click.Choice(["encoder", "all_but_last"]),
            help="With --pretrained: layers whose weights stay fixed.",
        ),
        click.option(
            "--pretrained",
            type=Model(),
            help='Model to fine-tune: a file, or the name of an included model, such as "oqmd".',
        ),
        click.option(
            "--prototype",
            help="Structure that all crystals share, such as elpasolite or ABX3. Default: formulas "
            "of any kind.",
        ),
        input_format_option,
        click.option("--target", required=True, help="Name of the column with energies."),
        formulas_option,
        formula_option,
    ):
        function = option(function)
    return function


def _pipeline(
    prototype: str | None,
    pretrained: str | None,
    *,
    verbose: int,
    seed: int,
    freeze: str | None,
    calibrate_std: bool,
    notation: str | None,
    **chosen: Any,
) -> Any:
    """Build the pipeline, with the modes and layers of a pretrained model if there is one."""
    from sklearn.base import clone

    from sklearn_elmodes import make_formation_energy_pipeline

    if freeze is not None and pretrained is None:
        raise click.UsageError("--freeze needs --pretrained.")
    settings = {name: value for name, value in chosen.items() if value is not None}
    settings |= {"freeze": freeze, "calibrate_std": calibrate_std}
    settings |= {"random_state": seed, "verbose": verbose}
    if pretrained is None:
        return make_formation_energy_pipeline(prototype, formulas=notation or "strict", **settings)
    start = load(pretrained, notation)
    check_prototype(prototype, start, f"--pretrained {pretrained}")
    layers = {name: getattr(start[-1], name) for name in _LAYERS}
    prototype_ = start[0].prototype_
    pipeline = make_formation_energy_pipeline(
        prototype_,
        pooling=start[0].pooling if prototype_ is None else None,
        pretrained=pretrained,
        **{**layers, **settings},
    )
    return pipeline.set_params(elementalmodetransformer=clone(start[0]))


def _card(name: str, table: str, target: str, X: Any, y: Any) -> str:
    """Write a model card with the training data and the command."""
    from sklearn_elmodes._inputs import contained_elements

    where = "standard input" if table == "-" else Path(table).name
    n_elements = int(contained_elements(X).any(axis=0).sum())
    return (
        f"# Model card: {name}\n\n"
        f"Trained on {len(X):,} rows of {where} with {n_elements} elements, to predict "
        f"{target!r} (mean {y.mean():.4g}, standard deviation {y.std():.4g}, minimum "
        f"{y.min():.4g}, maximum {y.max():.4g}), with the command\n\n    {shell_command()}\n"
    )


@click.command(
    short_help="Train a model on a table.",
    epilog="\b\nExample:\n"
    "  elmodes train energies.csv --target energy --pretrained oqmd -o m.safetensors",
)
@click.argument("table", metavar="DATA", type=table_type)
@_training_options
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    required=True,
    help="Model file to write, by convention with the extension .safetensors.",
)
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False),
    help="File for the state of a long training run; the same command resumes from it.",
)
@set_aside_options
@json_option
@one_line_errors
def train(
    table: str,
    formula: str,
    target: str,
    input_format: str | None,
    output: str,
    checkpoint: str | None,
    on_error: str,
    rejected: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train a model on the formulas and energies in DATA and save it to one file.

    DATA is a table in CSV, Parquet or JSON lines, or - for standard input. To estimate
    the error on new formulas, run "elmodes evaluate" with the same options.
    """
    check_outputs(
        output,
        checkpoint,
        inputs=[table, settings["pretrained"]],
        on_error=on_error,
        rejected=rejected,
    )
    pipeline = _pipeline(verbose=int(sys.stderr.isatty()), **settings)
    from sklearn_elmodes import save_model
    from sklearn_elmodes.cli._rows import read_labelled, tell_conflicts, tell_unit

    rows = read_labelled(pipeline[0], table, input_format, formula, target, on_error, rejected)
    conflicts = tell_conflicts(rows)
    tell_unit(rows, None, pipeline[0].prototype)
    X, y = rows["formula"].to_numpy(), rows["true"].to_numpy()
    resumable = {} if checkpoint is None else {"formationenergyregressor__checkpoint": checkpoint}
    with _whole_trainings(
        f"The state is saved in {checkpoint}; run the same command to resume."
        if resumable
        else "Nothing was written; use --checkpoint FILE to make training resumable."
    ):
        pipeline.fit(X, y, **resumable)
    save_model(pipeline, output, card=_card(Path(output).stem, table, target, X, y))
    summary = {
        "model": output,
        "rows": len(X),
        "passes": len(pipeline[-1].loss_curve_),
        "training_loss": pipeline[-1].loss_curve_[-1],
        **conflicts,
    }
    if as_json:
        echo_json(summary)
    else:
        click.echo(
            f"Trained on {len(X):,} rows for {summary['passes']} epochs; wrote {output}.",
            err=True,
        )


@contextmanager
def _whole_trainings(kept: str) -> Iterator[None]:
    """Stop if training is interrupted; its weights so far are not used."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Training was interrupted", ConvergenceWarning)
        try:
            yield
        except (KeyboardInterrupt, ConvergenceWarning):
            raise KeyboardInterrupt(kept) from None


@click.command(
    short_help="Estimate the error on new formulas by cross-validation.",
    epilog="\b\nExamples:\n"
    "  elmodes evaluate energies.csv --target energy --report report.html\n"
    "  elmodes evaluate energies.csv --target energy --leave-one-element-out",
)
@click.argument("table", metavar="DATA", type=table_type)
@_training_options
@click.option(
    "--folds",
    type=click.IntRange(2),
    default=5,
    show_default=True,
    help="Number of cross-validation folds.",
)
@click.option(
    "--leave-one-element-out",
    is_flag=True,
    help="Hold out all rows of one element at a time, instead of folds.",
)
@click.option(
    "--min-samples",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="With --leave-one-element-out: skip elements present in fewer rows.",
)
@click.option("--unit", help="Unit of the target. Default: eV/atom if the values look like it.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="File for the predictions; the extension selects CSV, Parquet or JSON lines.",
)
@click.option(
    "--report", "page", type=click.Path(dir_okay=False), help="HTML report to write, with plots."
)
@click.option("--jobs", type=int, help="Number of folds to run in parallel.")
@set_aside_options
@json_option
@one_line_errors
def evaluate(
    table: str,
    formula: str,
    target: str,
    input_format: str | None,
    folds: int,
    leave_one_element_out: bool,
    min_samples: int,
    unit: str | None,
    output: str | None,
    page: str | None,
    jobs: int | None,
    on_error: str,
    rejected: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Estimate by cross-validation how well a model trained on DATA predicts new formulas.

    Each row is predicted by a model trained without it and without other rows of the same
    composition. With --leave-one-element-out, each row is predicted once for each of its
    elements, by a model trained without all rows that contain this element.

    DATA is a table in CSV, Parquet or JSON lines, or - for standard input.
    """
    check_outputs(
        output, page, inputs=[table, settings["pretrained"]], on_error=on_error, rejected=rejected
    )
    pipeline = _pipeline(verbose=0, **settings)
    from sklearn.model_selection import GroupKFold

    from sklearn_elmodes import LeaveOneElementOut
    from sklearn_elmodes._inputs import composition_groups
    from sklearn_elmodes.cli._rows import read_labelled, tell_conflicts, tell_unit
    from sklearn_elmodes.cli._tables import write_table
    from sklearn_elmodes.model_selection import predict_held_out

    rows = read_labelled(pipeline[0], table, input_format, formula, target, on_error, rejected)
    conflicts = tell_conflicts(rows)
    unit = tell_unit(rows, unit, pipeline[0].prototype)
    X, y = rows["formula"].to_numpy(), rows["true"].to_numpy()
    groups = composition_groups(X)
    if leave_one_element_out:
        cv: Any = LeaveOneElementOut(min_samples=min_samples)
        scheme = "leave-one-element-out"
    else:
        if groups.max() + 1 < folds:
            raise ValueError(
                f"{folds} folds need at least {folds} distinct compositions; {table} has "
                f"{groups.max() + 1}."
            )
        cv = GroupKFold(folds, shuffle=True, random_state=settings["seed"])
        scheme = f"{folds}-fold cross-validation"
    if settings["pretrained"] is not None:
        scheme += f" (from {settings['pretrained']}, which may have seen held-out compositions)"
    with _whole_trainings("Nothing was written."):
        found = predict_held_out(
            pipeline, X, y, cv=cv, groups=groups, n_jobs=jobs, verbose=int(sys.stderr.isatty())
        )
    found.insert(1, "formula", X[found["row"]])
    found["true"] = found["true"].astype(object)  # written unrounded, unlike predictions
    found["row"] = rows["row"].to_numpy()[found["row"]]
    if output is not None:
        write_table(found, output)
    if page is not None:
        from sklearn_elmodes.report import write_report

        with _whole_trainings("The report was not written."):
            pipeline.set_params(formationenergyregressor__verbose=int(sys.stderr.isatty()))
            pipeline.fit(X, y)
        pipeline.model_card_ = _card("all rows", table, target, X, y)
        write_report(
            page,
            pipeline,
            predictions=found,
            scheme=scheme,
            target=target,
            unit=unit,
            title=f"Models trained on {Path(table).name if table != '-' else 'standard input'}",
            command=shell_command(),
        )
    summary = {**_summarise(found, scheme, unit), **conflicts}
    if as_json:
        echo_json(summary)
    else:
        _echo_summary(summary, found)


def _summarise(found: Any, scheme: str, unit: str) -> dict[str, Any]:
    """Compute the scores over all rows, and by fold or element."""
    from sklearn_elmodes.inspection import prediction_scores

    scores = prediction_scores(found)
    error = (found["predicted"] - found["true"].astype(float)).abs()
    by = "held_out" if "held_out" in found else "fold"
    parts = error.groupby(found[by], sort=False).mean()
    summary: dict[str, Any] = {
        "scheme": scheme,
        "unit": unit or None,
        "rows": int(found["row"].nunique()),
        "mae": scores["mae"],
        "mae_mean_of_parts": float(parts.mean()),
        "mae_std_of_parts": float(parts.std()) if len(parts) > 1 else None,
        "rmse": scores["rmse"],
        "r2": scores["r2"],
        "mae_of_the_mean": scores["mae_of_mean"],
        f"mae_by_{by}": {str(name): float(mae) for name, mae in parts.items()},
    }
    if "std" in found:
        summary["share_within_one_std"] = scores["within_one_std"]
    return summary


def _echo_summary(summary: dict[str, Any], found: Any) -> None:
    """Print the scores and the worst rows."""
    unit = f" {summary['unit']}" if summary["unit"] else ""
    std = summary["mae_std_of_parts"]
    by_element = "mae_by_held_out" in summary
    click.echo(f"{summary['scheme']} on {summary['rows']:,} rows")
    parts = "elements" if by_element else "folds"
    around = "" if std is None else f" (± {std:.3g} over {parts})"
    if by_element:
        click.echo(f"MAE   {summary['mae']:.4g}{unit} over all rows")
        click.echo(f"MAE   {summary['mae_mean_of_parts']:.4g}{unit}, mean of elements{around}")
    else:
        click.echo(f"MAE   {summary['mae']:.4g}{unit}{around}")
    click.echo(f"RMSE  {summary['rmse']:.4g}{unit}")
    if summary["r2"] is not None:
        click.echo(f"R²    {summary['r2']:.3f}")
    click.echo(f"      {summary['mae_of_the_mean']:.4g}{unit}: MAE of always predicting the mean")
    if by_element:
        hardest = sorted(summary["mae_by_held_out"].items(), key=lambda pair: -pair[1])[:8]
        click.echo(
            "Largest MAE by element: " + ", ".join(f"{name} {mae:.3g}" for name, mae in hardest)
        )
    error = (found["predicted"] - found["true"].astype(float)).abs()
    click.echo("Worst rows:")
    for index in error.nlargest(5).index:
        row = found.loc[index]
        click.echo(
            f"  row {row['row']}, {row['formula']}: {row['true']:.3f}, predicted "
            f"{row['predicted']:.3f}"
        )
