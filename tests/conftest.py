"""Fixtures that several test modules use."""

import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # one more of scikit-learn's checks

import hypothesis
import numpy as np
import pytest
import torch

# A busy machine takes long for what is quick on an idle one.
hypothesis.settings.register_profile(
    "any_speed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any_speed")

SHARED_DATA = Path(os.environ.get("SCIKIT_LEARN_DATA", "")).expanduser()


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def elpasolites():
    """Species (10590, 4) and energies, or a skip where they cannot be had."""
    from sklearn_elmodes.datasets import fetch_elpasolites

    try:
        X, y = fetch_elpasolites(return_X_y=True)
    except OSError as error:
        pytest.skip(f"the elpasolites are absent and cannot be fetched: {error}")
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture(scope="session")
def enthalpies():
    """Formulas (2135,) and measured enthalpies."""
    from sklearn_elmodes.datasets import load_expt_formation_enthalpies

    X, y = load_expt_formation_enthalpies(return_X_y=True)
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture(scope="session")
def shared_table():
    """Read a table of the shared data by its path, or skip."""
    import pandas as pd

    def read(path):
        file = SHARED_DATA / path
        if not os.environ.get("SCIKIT_LEARN_DATA") or not file.exists():
            pytest.skip(f"{path} is not in SCIKIT_LEARN_DATA")
        return pd.read_csv(file, keep_default_na=False)

    return read


@pytest.fixture
def rng():
    return np.random.RandomState(0)
