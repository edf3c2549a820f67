import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate

from sklearn_elmodes import LeaveOneElementOut, make_formation_energy_pipeline
from sklearn_elmodes.elements import ATOMIC_NUMBERS
from sklearn_elmodes.model_selection import predict_held_out

FORMULAS = ["NaCl", "KCl", "KBr", "MgO", "Na2MgCl4"]
SMALL = {"n_estimators": 1, "hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}


def test_every_element_is_held_out_once():
    folds = list(LeaveOneElementOut().split_by_element(FORMULAS))
    assert [element for element, _, _ in folds] == ["O", "Na", "Mg", "Cl", "K", "Br"]
    for element, train, test in folds:
        assert [element in formula for formula in FORMULAS] == [i in test for i in range(5)]
        assert sorted([*train, *test]) == list(range(5))
    assert LeaveOneElementOut().get_n_splits(FORMULAS) == 6


class Memory(RegressorMixin, BaseEstimator):
    """Predict 1 for rows of the training data, 0 for others."""

    def fit(self, X, y):
        self.known_ = {(formula, value) for formula, value in zip(X, y, strict=True)}
        return self

    def predict(self, X):
        return np.array([float(formula in {f for f, _ in self.known_}) for formula in X])


@pytest.mark.parametrize("cv", [3, LeaveOneElementOut()])
def test_predicted_rows_are_not_trained_on(cv):
    X = ["NaCl", "KCl", "KBr", "NaBr", "LiF", "LiCl"]
    found = predict_held_out(Memory(), X, np.arange(6.0), cv=cv)
    assert not found["predicted"].any()
    assert set(found["row"]) == set(range(6))


def test_min_samples_and_elements():
    assert LeaveOneElementOut(min_samples=3).get_n_splits(FORMULAS) == 1
    chosen = LeaveOneElementOut(elements=["Cl", "O"])
    assert [fold[0] for fold in chosen.split_by_element(FORMULAS)] == ["O", "Cl"]
    assert chosen.get_n_splits() == 2
    array = LeaveOneElementOut(elements=np.array(["Cl", "O"]))
    assert array.get_n_splits(FORMULAS) == 2


@pytest.mark.parametrize(
    ("splitter", "X", "message"),
    [
        (LeaveOneElementOut(elements=["F"]), FORMULAS, "F occurs in 0 samples"),
        (LeaveOneElementOut(elements=["O"], min_samples=2), FORMULAS, "O occurs in 1 samples"),
        (LeaveOneElementOut(elements=["Xx"]), FORMULAS, "unknown element symbol 'Xx'"),
        (LeaveOneElementOut(elements="CO"), FORMULAS, "must be a sequence of symbols"),
        (LeaveOneElementOut(elements=["Na"]), ["NaCl", "NaBr"], "Na occurs in every sample"),
        (LeaveOneElementOut(min_samples="a"), FORMULAS, "min_samples='a' must be an integer"),
        (LeaveOneElementOut(min_samples=0), FORMULAS, "min_samples=0 must be an integer of at"),
        (LeaveOneElementOut(elements=[]), FORMULAS, "elements is empty"),
        (LeaveOneElementOut(elements=5), FORMULAS, "must be a sequence of symbols"),
        (LeaveOneElementOut(by="row"), FORMULAS, "by='row' must be"),
        (LeaveOneElementOut(by="group", elements=["Eu"]), ["EuO"], "Eu belongs to no group"),
        (LeaveOneElementOut(by="group", elements=["F"]), ["NaCl", "KBr"], "group 17 occurs in ev"),
        (LeaveOneElementOut(), ["NaCl", "NaCl"], "No element occurs in at least 1 of the 2"),
        (LeaveOneElementOut(), ["NaCl", "Xx"], "Row 1: .*unknown element 'Xx'"),
        (LeaveOneElementOut(), [["Na", "Cl"], ["K", "Xx"]], "Row 1: .*unknown element 'Xx'"),
    ],
)
def test_invalid_arguments(splitter, X, message):
    with pytest.raises(ValueError, match=message):
        list(splitter.split(X))
    with pytest.raises(ValueError, match="depends on X"):
        LeaveOneElementOut().get_n_splits()


def test_sites_and_formulas_agree(elpasolites):
    X, _ = elpasolites
    formulas = pd.Series([f"{a}{b}{c}2{d}6" for a, b, c, d in X])
    numbers = np.vectorize(ATOMIC_NUMBERS.get)(X)
    folds = [list(LeaveOneElementOut().split_by_element(x)) for x in (X, formulas, numbers)]
    assert [len(f) for f in folds] == [39, 39, 39]
    for one, two, three in zip(*folds, strict=True):
        assert one[0] == two[0] == three[0]
        np.testing.assert_array_equal(one[2], two[2])
        np.testing.assert_array_equal(one[2], three[2])
        assert (X[one[2]] == one[0]).any(axis=1).all()
        assert not (X[one[1]] == one[0]).any()


def test_mixtures_on_a_site_contain_both_elements():
    folds = list(LeaveOneElementOut().split_by_element([["Na0.5K0.5", "Cl"], ["Na", "Br"]]))
    assert {element: test.tolist() for element, _, test in folds} == {
        "Cl": [0],
        "K": [0],
        "Br": [1],
    }


def test_groups_and_periods():
    X = ["NaCl", "KCl", "KBr", "MgO", "EuO", "LaN"]
    groups = {
        name: test.tolist() for name, _, test in LeaveOneElementOut(by="group").split_by_element(X)
    }
    assert groups == {
        "group 1": [0, 1, 2],
        "group 2": [3],
        "group 15": [5],
        "group 16": [3, 4],
        "group 17": [0, 1, 2],
    }
    periods = LeaveOneElementOut(by="period", elements=["Br", "U", "Lu"])
    with pytest.raises(ValueError, match="period 7 occurs in 0 samples"):
        list(periods.split(X))
    periods = LeaveOneElementOut(by="period", elements=["Br", "Lu"])
    assert periods.get_n_splits() == 2
    assert {name: test.tolist() for name, _, test in periods.split_by_element(X)} == {
        "period 4": [1, 2],
        "period 6": [4, 5],
    }


def test_cross_val_predict_if_the_test_sets_are_a_partition(elpasolites):
    X, y = elpasolites
    halogens = ["F", "Cl", "Br", "I"]
    one = np.isin(X, halogens).sum(axis=1) == 1
    X, y = X[one][:300], y[one][:300]
    pipeline = make_formation_energy_pipeline("elpasolite", **SMALL)
    splitter = LeaveOneElementOut(elements=halogens)
    predicted = cross_val_predict(pipeline, X, y, cv=splitter)
    for element, train, test in splitter.split_by_element(X):
        expected = clone(pipeline).fit(X[train], y[train]).predict(X[test])
        np.testing.assert_allclose(predicted[test], expected, atol=1e-5, err_msg=element)


def test_in_cross_validation_and_grid_search(elpasolites):
    X, y = elpasolites
    X, y = X[:300], y[:300]
    splitter = LeaveOneElementOut(elements=["Cl", "Na", "O"])
    pipeline = make_formation_energy_pipeline("elpasolite", **SMALL)
    scores = cross_validate(pipeline, X, y, cv=splitter, error_score="raise", return_indices=True)
    assert len(scores["test_score"]) == 3
    for element, test in zip(("O", "Na", "Cl"), scores["indices"]["test"], strict=True):
        assert (X[test] == element).any(axis=1).all()
    grid = {"formationenergyregressor__max_iter": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=splitter, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
