"""Retrain the included modes and the elpasolite model.

Run with ``python -m sklearn_elmodes.pretrained.rebuild``. The modes take seconds, the
model about four minutes on two cores; it needs the data of
:func:`~sklearn_elmodes.datasets.fetch_elpasolites`. With ``--cards`` nothing is trained:
the model files are rewritten with the same weights, in the current schema and with the
model cards in the ``.md`` files.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn_elmodes.datasets import fetch_elpasolites
from sklearn_elmodes.elements import PROPERTY_TABLES, property_table
from sklearn_elmodes.modes import ElementModes
from sklearn_elmodes.persistence import load_model, save_model
from sklearn_elmodes.pipelines import make_formation_energy_pipeline

FOLDER = Path(__file__).parent


def write_modes(folder: Path) -> None:
    """Write ``modes_<table>.csv`` for each property table."""
    for name in PROPERTY_TABLES:
        modes = ElementModes.from_properties(property_table(name)).to_frame()
        modes.to_csv(folder / f"modes_{name}.csv", float_format="%.7g", lineterminator="\n")


def write_elpasolite_model(folder: Path) -> None:
    """Train the default pipeline on all 10,590 elpasolites and save it."""
    X, y = fetch_elpasolites(return_X_y=True)
    model = make_formation_energy_pipeline(
        "elpasolite", calibrate_std=True, random_state=0, verbose=1
    )
    model.fit(X, y)
    card = FOLDER.joinpath("elpasolites.md").read_text(encoding="utf-8")
    model[-1].set_params(verbose=0)
    save_model(model, folder / "elpasolites.safetensors", card=card)


def write_cards(folder: Path) -> None:
    """Rewrite each model file in a folder with the card in its ``.md`` file."""
    for path in sorted(folder.glob("*.safetensors")):
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        save_model(load_model(path), path, card=card)


if __name__ == "__main__":
    if sys.argv[1:] == ["--cards"]:
        write_cards(FOLDER)
    else:
        write_modes(FOLDER)
        write_elpasolite_model(FOLDER)
