"""The tables and statistics with which representations of elements are compared."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import manhattan_distances

from sklearn_elmodes.elements import ATOMIC_NUMBERS, SYMBOLS, property_table
from sklearn_elmodes.inspection import nearest_elements, share_of_neighbours

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("representations")


@pytest.fixture(scope="module")
def peers(benchmark):
    if importlib.import_module("_environments").interpreter("elementembeddings") is None:
        pytest.skip("python benchmarks/_environments.py elementembeddings")
    return benchmark.peer_tables()


@pytest.mark.parametrize(("name", "column"), [("Magpie", "Number"), ("Oliynyk", "Atomic_Number")])
def test_rows_of_a_peer_belong_to_their_elements(peers, name, column):
    numbers = peers[name][column]
    assert numbers.astype(int).to_dict() == {s: ATOMIC_NUMBERS[s] for s in numbers.index}


@pytest.mark.parametrize(
    ("name", "column"),
    [("Magpie", "Electronegativity"), ("Oliynyk", "Pauling_Electronegativity")],
)
def test_columns_of_a_peer_keep_their_names(peers, name, column):
    ours = property_table("extended")["electronegativity_pauling"].dropna()
    both = pd.concat([ours, peers[name][column]], axis=1, join="inner")
    both = both[both[column] > 0]  # what stands for unknown
    assert len(both) > 75
    assert both.corr().iloc[0, 1] > 0.98
    assert peers[name].loc[["Na", "F"], column].tolist() == pytest.approx([0.93, 3.98], abs=0.01)


@pytest.mark.parametrize("name", ["MEGNet", "mat2vec", "SkipAtom"])
def test_learnt_vectors_know_their_neighbours(peers, name):
    assert {"Li", "K"} & set(nearest_elements(peers[name], "Na")[:2])
    assert share_of_neighbours(peers[name]) > 0.4
    assert share_of_neighbours(peers["random vectors"]) < 0.15


def test_tables_have_the_same_elements_and_scale(benchmark, peers):
    del peers  # skips
    tables = benchmark.read_tables((2, 12), {"elementembeddings": {}})
    symbols = list(tables["12 modes"].index)
    assert "Ne" not in symbols  # SkipAtom lacks it
    assert len(symbols) > 75
    assert sorted(symbols, key=SYMBOLS.index) == symbols
    for table in tables.values():
        assert list(table.index) == symbols
        assert np.isfinite(table.to_numpy()).all()
        np.testing.assert_allclose(table.mean(), 0, atol=1e-12)
        assert (table**2).to_numpy().mean() == pytest.approx(1)
    assert [tables[name].shape[1] for name in ("Magpie", "MEGNet", "SkipAtom")] == [22, 16, 200]


def test_sites_read_their_own_rows(benchmark):
    table = pd.DataFrame([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], index=["F", "Na", "K"])
    features = benchmark.table_transformer(table, "elpasolite").fit_transform(
        [["K", "Na", "K", "F"]]
    )
    assert features.tolist() == [[5, 6, 3, 4, 5, 6, 1, 2]]


def test_statistics_over_a_composition(benchmark):
    table = pd.DataFrame([[1.0, -2.0], [5.0, 2.0], [9.0, 9.0]], index=["O", "Na", "K"])
    blocks = benchmark.table_transformer(table).fit_transform(["Na3O", "K"])
    deviation = 4 * np.sqrt(3) / 4
    np.testing.assert_allclose(
        benchmark.statistics(blocks, 2),
        [[4, 1, deviation, deviation, 1, -2, 5, 2], [9, 9, 0, 0, 9, 9, 9, 9]],
        rtol=1e-6,
    )


def test_paired_test(benchmark):
    rng = np.random.RandomState(0)
    ours, noise = rng.normal(1.0, 0.1, 20), rng.normal(size=20)
    other = ours + 0.08 + 0.1 * (noise - noise.mean()) / noise.std(ddof=1)
    plain = benchmark.compare(list(ours), list(other), 0.0)
    assert plain["p"] == pytest.approx(ttest_rel(ours, other).pvalue)
    assert plain["ours"] == "better"
    assert benchmark.compare(list(other), list(ours), 0.0)["ours"] == "worse"
    assert plain["wins"] == (ours < other).sum()
    # Overlapping training rows count as fewer splits: 1/20 + 1/4 for 1/20.
    corrected = benchmark.compare(list(ours), list(other), 0.25)
    assert corrected["p"] > plain["p"]
    assert corrected["ours"] == "undecided"


def test_elements_to_tune_by_are_not_among_the_rest(benchmark, elpasolites):
    X, _ = elpasolites
    (element, train, test, (rest, validation)), *_ = benchmark.element_folds(X, 800, ["Cl", "O"])
    assert element == "O"
    assert not (X[train] == "O").any()
    assert (X[test] == "O").any(axis=1).all()
    chosen = set(np.unique(X[train[validation]])) - set(np.unique(X[train[rest]]))
    assert len(chosen) == 3
    assert np.isin(X[train[validation]], list(chosen)).any(axis=1).all()


def test_kernel_ridge_is_that_of_the_features(benchmark, elpasolites):
    X, y = (part[:300] for part in elpasolites)
    symbols = np.unique(X)
    rng = np.random.RandomState(0)
    table = pd.DataFrame(rng.normal(size=(len(symbols), 3)), index=symbols)
    features = benchmark.table_transformer(table, "elpasolite").fit_transform(X).astype(float)
    train, test = np.arange(200), np.arange(200, 300)
    apart = benchmark.site_distances(table, X, X[train])
    np.testing.assert_allclose(apart, manhattan_distances(features, features[train]), rtol=1e-5)
    tuning = np.arange(150), np.arange(150, 200)
    predicted, chosen = benchmark.kernel_ridge(apart, y, train, test, tuning)
    gamma = chosen["gamma"] / np.median(apart[:150, :150])
    model = KernelRidge(kernel="laplacian", gamma=gamma, alpha=chosen["alpha"])
    target = (y[train] - y[train].mean()) / y[train].std()
    expected = model.fit(features[train], target).predict(features[test])
    expected = expected * y[train].std() + y[train].mean()
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)
