"""Overhead of skorch: fitting with it, compared with a plain torch loop.

Both train the same network on the same batches of the elpasolites, with the same optimizer
and schedule.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from _common import parse_arguments, summarise, write_results

from sklearn_elmodes import make_formation_energy_pipeline
from sklearn_elmodes._networks._batches import EnsembleBatches
from sklearn_elmodes._networks._layers import EnsembleLoss
from sklearn_elmodes._networks._sites import ARCHITECTURE
from sklearn_elmodes.datasets import fetch_elpasolites


def plain_loop(model: Any, X: Any, y: Any) -> float:
    """Train like the regressor, but without skorch; return the last loss."""
    arguments = model._network_arguments(X, seed=0)
    dataset = ARCHITECTURE.dataset(X, (y - y.mean()) / y.std(), arguments, "cpu")
    network, criterion = ARCHITECTURE.network(**arguments), EnsembleLoss()
    generator = torch.Generator().manual_seed(0)
    batches = EnsembleBatches(dataset, model.batch_size, model.n_estimators, generator)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=model.learning_rate_init, weight_decay=model.alpha, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, model.learning_rate_init, total_steps=batches.n_batches * model.max_iter + 1
    )
    network.train()
    for _ in range(model.max_iter):
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = criterion(network(**inputs), targets)
            loss.backward()
            optimizer.step()
            schedule.step()
    return loss.item()


def main() -> None:
    """Time both in turn."""
    arguments = parse_arguments(__doc__)
    repeats, n_rows, max_iter = (1, 500, 2) if arguments.quick else (5, 8472, 4)
    sites, energies = fetch_elpasolites(return_X_y=True)
    results: dict[str, Any] = {}
    for n_estimators in (1, 4):
        pipeline = make_formation_energy_pipeline(
            "elpasolite",
            max_iter=max_iter,
            n_estimators=n_estimators,
            batch_size=256,
            learning_rate_init=0.005,
            random_state=0,
        )
        X = pipeline[:-1].fit_transform(sites[:n_rows])
        y, model = energies[:n_rows], pipeline[-1]
        seconds: dict[str, list[float]] = {"skorch": [], "plain loop": []}
        for _ in range(repeats + 1):
            start = time.perf_counter()
            model.fit(X, y)
            middle = time.perf_counter()
            plain_loop(model, X, y)
            seconds["skorch"].append(middle - start)
            seconds["plain loop"].append(time.perf_counter() - middle)
        seconds = {name: values[1:] for name, values in seconds.items()}  # the first warms up
        ratio = np.median(np.divide(seconds["skorch"], seconds["plain loop"]))
        results[f"{n_estimators} members"] = {
            "median_ratio": float(ratio),
            **{name: summarise(values) for name, values in seconds.items()},
        }
        print(f"{n_estimators} members: skorch takes {ratio:.3f} × the time of a plain loop")
    claims = {
        "at most 1.3 times a plain loop": all(r["median_ratio"] < 1.3 for r in results.values())
    }
    write_results("training_overhead", results, claims, arguments)


if __name__ == "__main__":
    main()
