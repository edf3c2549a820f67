"""``elmodes demo``: from element properties to energies, on data in the package."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.dummy import DummyRegressor
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_elmodes.autoencoder import ElementAutoencoder
from sklearn_elmodes.datasets import load_expt_formation_enthalpies
from sklearn_elmodes.elements import HERR2019_COLUMNS, property_table
from sklearn_elmodes.formulas import element_fractions
from sklearn_elmodes.inspection import (
    ModeMapDisplay,
    ParityDisplay,
    PeriodicTableDisplay,
    nearest_elements,
    pyplot,
    reconstruction_r2,
    share_of_neighbours,
)
from sklearn_elmodes.model_selection import predict_held_out
from sklearn_elmodes.modes import DEFAULT_N_COMPONENTS, ElementModes
from sklearn_elmodes.persistence import load_pretrained
from sklearn_elmodes.pipelines import make_formation_energy_pipeline

# Known elpasolites, and two implausible ones.
_ELPASOLITES = ("K2NaAlF6", "K2LiAlF6", "Rb2NaInCl6", "Cs2NaBiCl6", "Ne2NaAlXe6", "O2NaAlCs6")


def run_demo(
    output: Path, *, parts: Collection[int], folds: int, quick: bool, say: Callable[[str], Any]
) -> None:
    """Run parts of the demonstration and write their tables and figures to a folder.

    Parameters
    ----------
    output : Path
        Folder for ``modes.csv``, ``predictions.csv`` and three PNG files.
    parts : collection of int
        Parts to run: 1 learns modes, 2 cross-validates models on measured enthalpies, 3 predicts
        elpasolites.
    folds : int
        Folds of the cross-validation.
    quick : bool
        Train for a few epochs only.
    say : callable
        Prints a line.
    """
    plt = pyplot()
    output.mkdir(parents=True, exist_ok=True)
    with plt.rc_context({"savefig.dpi": 120}):
        if 1 in parts:
            _modes(output, quick, say)
        if 2 in parts:
            _measured_enthalpies(output, folds, quick, say)
        if 3 in parts:
            _elpasolites(say)
    if 1 in parts or 2 in parts:
        say(f"\nTables and figures are in {output}/.")


def _modes(output: Path, quick: bool, say: Callable[[str], Any]) -> None:
    table = property_table("extended")
    say(
        f"1. Modes. An auto-encoder compresses {table.shape[1]} properties of {len(table)} elements"
    )
    say(f"   into {DEFAULT_N_COMPONENTS} numbers per element.")
    settings = ElementAutoencoder(random_state=0, max_iter=100 if quick else 300)
    settings.set_params(verbose=int(sys.stderr.isatty()))
    learned = ElementModes.from_properties(table, autoencoder=settings)
    modes, autoencoder = learned.to_frame(), learned.autoencoder
    assert autoencoder is not None, "the modes were learned"
    modes.to_csv(output / "modes.csv", float_format="%.6g")
    restored = autoencoder.inverse_transform(modes.to_numpy())
    scores = reconstruction_r2(table, restored)
    ten = np.mean([scores[name] for name in HERR2019_COLUMNS])
    say(f"   Reconstruction of the ten properties of the paper: mean R² {ten:.4f}.")
    say(
        f"   For {share_of_neighbours(modes):.0%} of the elements the nearest element in mode space"
    )
    say("   is in the same group, or an adjacent cell of the same period.")
    say(f"   Nearest to chlorine: {', '.join(nearest_elements(modes, 'Cl')[:3])}.")
    figure = PeriodicTableDisplay(dict(modes["mode1"]), label="mode 1").plot().figure_
    _save(figure, output / "periodic_table.png")
    _save(ModeMapDisplay(modes).plot().figure_, output / "mode_map.png")


def _measured_enthalpies(output: Path, folds: int, quick: bool, say: Callable[[str], Any]) -> None:
    X, y = load_expt_formation_enthalpies(return_X_y=True)
    say(f"\n2. Measured formation enthalpies of {len(y):,} compounds, {folds} folds.")
    settings: dict[str, Any] = {"random_state": 0, "n_estimators": 2}  # the same for all
    if quick:
        settings |= {"max_iter": 5}
    from_scratch = {"max_iter": 40, **settings}
    network = make_formation_energy_pipeline(pooling="statistics", **from_scratch)[-1]
    models = {
        "mean of the training data": DummyRegressor(),
        "element fractions, similar network": make_pipeline(
            FunctionTransformer(element_fractions), StandardScaler(), network
        ),
        "elemental modes, from scratch": make_formation_energy_pipeline(**from_scratch),
        "elemental modes, fine-tuned": make_formation_energy_pipeline(
            pretrained="oqmd", **settings
        ),
    }
    cv = KFold(folds, shuffle=True, random_state=0)
    found = pd.DataFrame()
    for name, model in models.items():
        found = predict_held_out(model, X, y, cv=cv, verbose=int(sys.stderr.isatty()))
        error = mean_absolute_error(found["true"], found["predicted"])
        say(f"   {name:<34} mean absolute error {error:.4f} eV/atom")
    found = found.sort_values("row")  # of the last model
    energy, std = found["predicted"].to_numpy(), found["std"].to_numpy()
    pd.DataFrame(
        {
            "formula": X,
            "measured_ev_per_atom": y,
            "predicted_ev_per_atom": energy,
            "std_ev_per_atom": std,
        }
    ).to_csv(output / "predictions.csv", index=False, float_format="%.4f")
    display = ParityDisplay.from_predictions(y, energy, std, label="formation enthalpy (eV/atom)")
    display.ax_.set_title("Cross-validated predictions of measured enthalpies", fontsize="medium")
    _save(display.figure_, output / "parity.png")
    surprise = np.abs(energy - y) / np.maximum(std, 0.02)
    worst = int(np.argmax(surprise))
    say(f"   Largest error relative to the std: {X[worst]}, measured {y[worst]:.2f}, predicted")
    say(f"   {energy[worst]:.2f} ± {std[worst]:.2f} eV/atom.")


def _elpasolites(say: Callable[[str], Any]) -> None:
    say("\n3. Elpasolites, predicted by the included model (trained on 10,590 of them):")
    model = load_pretrained("elpasolites")
    energies, stds = model.predict(list(_ELPASOLITES), return_std=True)
    for formula, energy, std in zip(_ELPASOLITES, energies, stds, strict=True):
        say(f"   {formula:<12} {energy:+.2f} ± {std:.2f} eV/atom")


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, bbox_inches="tight")
    pyplot().close(figure)
