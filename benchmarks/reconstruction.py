"""How well the ten properties of the paper come back from the default modes.

R² of each column over the elements whose value is known, beside principal
components of the same table, with gaps at their mean, in the same number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _common import parse_arguments, write_results
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

from sklearn_elmodes.elements import HERR2019_COLUMNS, property_table
from sklearn_elmodes.transformer import DEFAULT_N_COMPONENTS, learn_modes


def main() -> None:
    """Reconstruct with 2, 4, 8 and the default number of modes."""
    arguments = parse_arguments(__doc__)
    sizes = (DEFAULT_N_COMPONENTS,) if arguments.quick else (2, 4, 8, DEFAULT_N_COMPONENTS)
    table = property_table("extended")
    scaled = (table - table.mean()) / table.std(ddof=0)
    results: dict[str, Any] = {}
    for n_components in sizes:
        modes, autoencoder = learn_modes(table, n_components)
        pca = PCA(n_components).fit(scaled.fillna(0))
        restored = {
            "modes": autoencoder.inverse_transform(modes.to_numpy()),
            "principal components": pca.inverse_transform(pca.transform(scaled.fillna(0))),
        }
        for name, values in restored.items():
            truth = table if name == "modes" else scaled
            scores = {}
            for column in HERR2019_COLUMNS:
                known = truth[column].notna().to_numpy()
                found = np.asarray(values)[known, truth.columns.get_loc(column)]
                scores[column] = float(r2_score(truth[column][known], found))
            mean = float(np.mean(list(scores.values())))
            results[f"{n_components} {name}"] = {"mean_r2": mean, "r2": scores}
            print(f"{n_components:>3} {name:<22} mean R² over the ten columns {mean:.4f}")
    default = f"{DEFAULT_N_COMPONENTS} modes"
    claims = {
        "mean R² of the default modes above 0.97": results[default]["mean_r2"] > 0.97,
        "better than as many principal components": all(
            results[f"{n} modes"]["mean_r2"] > results[f"{n} principal components"]["mean_r2"]
            for n in sizes
        ),
    }
    write_results("reconstruction", results, claims, arguments)


if __name__ == "__main__":
    main()
