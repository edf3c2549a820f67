import time

import numpy as np
import pandas as pd
import pytest
import sklearn
from matminer.featurizers.base import MultipleFeaturizer
from matminer.featurizers.composition import ElementProperty
from pymatgen.core import Composition
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from sklearn_elmodes import ElementalModeTransformer
from sklearn_elmodes.elements import property_table
from sklearn_elmodes.featurizers import ElementalModes

FORMULAS = ["NaCl", "Ca(OH)2", "Fe2O3", "CuSO4(H2O)5", "Si"]

# Warnings of pymatgen and matminer that no setting avoids.
pytestmark = pytest.mark.filterwarnings("ignore:.*electronegativity.*:UserWarning")


@pytest.fixture(scope="module")
def frame():
    return pd.DataFrame(
        {"composition": [Composition(f) for f in FORMULAS], "target": range(5)}, index=list("abcde")
    )


@pytest.fixture(scope="module")
def expected():
    return ElementalModeTransformer(dtype="float64").fit(FORMULAS)


def test_a_frame_keeps_its_index_and_gets_the_features_of_the_transformer(frame, expected):
    before = frame.copy()
    featurizer = ElementalModes()
    found = featurizer.featurize_dataframe(frame, "composition")
    names = expected.get_feature_names_out().tolist()
    assert featurizer.feature_labels() == names
    assert found.columns.tolist() == ["composition", "target", *names]
    assert found.index.tolist() == list("abcde")
    np.testing.assert_array_equal(found[names], expected.transform(FORMULAS))
    pd.testing.assert_frame_equal(frame, before)
    with pytest.raises(ValueError, match='"mean_mode1" exists'):
        featurizer.featurize_dataframe(found, "composition")


@pytest.mark.parametrize("iterate_over_entries", [True, False])
def test_with_magpie(frame, expected, iterate_over_entries):
    magpie = ElementProperty.from_preset("magpie")
    both = MultipleFeaturizer([magpie, ElementalModes()], iterate_over_entries)
    both.set_n_jobs(1)
    found = both.featurize_dataframe(frame, "composition", pbar=False)
    names = expected.get_feature_names_out().tolist()
    assert found.columns.tolist() == ["composition", "target", *magpie.feature_labels(), *names]
    np.testing.assert_array_equal(found[names], expected.transform(FORMULAS))
    alone = magpie.featurize_many(frame["composition"], pbar=False)
    np.testing.assert_array_equal(found[magpie.feature_labels()], alone)
    assert both.citations()
    assert "The sklearn-elmodes developers" in both.implementors()


def test_processes_of_matminer_get_the_modes(frame, expected):
    both = MultipleFeaturizer([ElementalModes(4)]).fit(None)
    both.set_n_jobs(2)
    found = both.featurize_many(frame["composition"], pbar=False)
    np.testing.assert_array_equal(found, ElementalModes(4).fit().featurize_many(FORMULAS))


@pytest.mark.parametrize(
    "entries",
    [
        FORMULAS,
        tuple(FORMULAS),
        np.array(FORMULAS, dtype=object)[:, None],
        [(Composition(formula),) for formula in FORMULAS],
        pd.Series(FORMULAS, index=list("abcde")),
        pd.DataFrame({"any name": FORMULAS}),
        [dict(Composition(formula).get_el_amt_dict()) for formula in FORMULAS],
    ],
    ids=["list", "tuple", "column", "compositions", "series", "frame", "mappings"],
)
def test_containers(entries, expected):
    found = ElementalModes().featurize_many(entries)
    np.testing.assert_array_equal(found, expected.transform(FORMULAS))
    assert all(type(row) is list for row in found)


def test_bad_rows_raise_unless_errors_are_ignored(expected):
    entries = ["NaCl", "NaXx", "Fm2O3", "Si"]
    featurizer = ElementalModes()
    with pytest.raises(ValueError, match=r"Row 1: .*'Xx' at position 2.*ignore_errors=True"):
        featurizer.featurize_many(entries)
    with pytest.raises(ValueError, match=r"Row 0: Og1: no .*Use a table that has it\. To skip"):
        featurizer.featurize_many([Composition("Og")])
    with pytest.raises(ValueError, match="ignore_errors"):
        featurizer.featurize_many(entries, return_errors=True)
    with pytest.raises(ValueError, match="list-like object, not generator"):
        featurizer.featurize_many(formula for formula in entries)
    entries[2] = "Og2O3"
    found = np.array(featurizer.featurize_many(entries, ignore_errors=True))
    assert np.isnan(found[1:3]).all()
    np.testing.assert_array_equal(found[[0, 3]], expected.transform(["NaCl", "Si"]))
    rows = featurizer.featurize_many(entries, ignore_errors=True, return_errors=True)
    assert np.isnan(rows[0][-1])
    assert "unknown element 'Xx'" in rows[1][-1]
    assert "no modes for the element Og" in rows[2][-1]
    assert np.isnan(featurizer.featurize_many(["Xx"], ignore_errors=True)).all()
    assert featurizer.featurize_many([]) == []


def test_bad_rows_with_magpie_and_one_by_one():
    entries = [Composition("NaCl"), Composition("Og")]
    both = MultipleFeaturizer([ElementalModes()])
    both.set_n_jobs(1)
    with pytest.raises(ValueError, match=r"^Og1: no modes for the element Og"):
        both.featurize_many(entries, pbar=False)
    found = both.featurize_many(entries, ignore_errors=True, pbar=False)
    assert np.isnan(found).all(axis=1).tolist() == [False, True]


def test_precheck(frame):
    featurizer = ElementalModes()
    assert featurizer.precheck(Composition("NaCl"))
    assert not featurizer.precheck(Composition("Og"))
    assert not featurizer.precheck("NaXx")
    assert featurizer.precheck_dataframe(frame, "composition") == 1.0


def test_other_modes_require_fit(frame):
    table = property_table("extended").loc[["Na", "Cl", "Si", "Fe", "O", "H"]].iloc[:, :5]
    featurizer = ElementalModes(2, properties=table)
    with pytest.raises(NotFittedError, match="fit_featurize_dataframe"):
        featurizer.featurize("NaCl")
    found = featurizer.fit_featurize_dataframe(frame, "composition", ignore_errors=True)
    transformer = ElementalModeTransformer(2, properties=table, dtype="float64").fit(["NaCl"])
    names = transformer.get_feature_names_out()
    assert found[names].isna().all(axis=1).tolist() == [False, True, False, True, False]
    np.testing.assert_array_equal(found.loc["a", names], transformer.transform(["NaCl"])[0])
    assert not hasattr(clone(featurizer), "transformer_")


def test_in_a_pipeline_whatever_its_output_is_set_to():
    with sklearn.config_context(transform_output="pandas"):
        model = make_pipeline(ElementalModes(), DecisionTreeRegressor(random_state=0))
        assert model.fit(FORMULAS, range(5)).predict(FORMULAS).tolist() == [0, 1, 2, 3, 4]


def test_featurize_many_is_faster_than_row_by_row():
    entries = ["Na2CO3", "Fe2O3"] * 500
    featurizer = ElementalModes()
    featurizer.featurize("NaCl")
    seconds = []
    for _ in range(5):  # the shortest counts, without what the interpreter does now and then
        start = time.process_time()
        together = featurizer.featurize_many(entries)
        seconds.append(time.process_time() - start)
    start = time.process_time()
    single = [featurizer.featurize(entry) for entry in entries]
    assert min(seconds) < (time.process_time() - start) / 5
    np.testing.assert_array_equal(together, single)
