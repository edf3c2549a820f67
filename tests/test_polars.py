"""Series and DataFrames of polars are read like those of pandas."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import cross_val_predict

from sklearn_elmodes import (
    ElementalModeTransformer,
    LeaveOneElementOut,
    make_formation_energy_pipeline,
    screen,
)
from sklearn_elmodes.featurizers import ElementalModes
from sklearn_elmodes.formulas import parse_formulas
from sklearn_elmodes.model_selection import predict_held_out

pl = pytest.importorskip("polars")

FORMULAS = ["NaCl", "Ca(OH)2", "Fe2O3", "K2NaAlF6", "MgO", "KBr"]
SITES = [["Na", "Al", "K", "F"], ["K", "Al", "Rb", "Cl"]]


@pytest.fixture(scope="module")
def frame():
    return pl.DataFrame({"formula": FORMULAS, "energy": [-2.1, -2.0, -1.7, -2.9, -3.1, -2.0]})


@pytest.fixture(scope="module")
def by_site():
    return pl.DataFrame(SITES, schema=list("ABCD"), orient="row")


def test_a_column_of_formulas_of_any_type(frame):
    series = frame["formula"]
    expected = ElementalModeTransformer().fit_transform(FORMULAS)
    columns = [
        series,
        series.to_frame(),
        series.cast(pl.Categorical),
        series.cast(pl.Categorical).to_frame(),
        series.cast(pl.Enum(FORMULAS)),
        pl.Series([*map(dict, parse_formulas(FORMULAS))], dtype=pl.Object),
    ]
    for column in columns:
        found = ElementalModeTransformer().fit_transform(column)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    fitted = ElementalModeTransformer().fit(series.to_frame())
    assert fitted.feature_names_in_.tolist() == ["formula"]
    table = ElementalModes().featurize_many(series)
    np.testing.assert_allclose(table, expected, rtol=1e-4, atol=1e-6)


def test_species_on_sites_of_any_type(by_site):
    transformer = ElementalModeTransformer(prototype="elpasolite")
    expected = transformer.fit_transform(SITES)
    frames = [
        by_site,
        by_site[list("DCBA")],
        by_site.cast(pl.Categorical),
        by_site.with_columns(B=pl.lit(13)),
        pl.DataFrame([[11, 13, 19, 9], [19, 13, 37, 17]], schema=list("ABCD"), orient="row"),
    ]
    for X in frames:
        np.testing.assert_array_equal(clone(transformer).fit_transform(X), expected)
    formulas = pl.DataFrame({"formula": ["K2NaAlF6"]})
    assert transformer.fit_transform(formulas).shape == (1, 48)


def test_bad_rows_are_named(by_site):
    series = pl.Series("formula", ["NaCl", None, "Xx"])
    for X in (series, series.to_frame()):
        valid, rejected = ElementalModeTransformer().check_rows(X)
        assert valid.tolist() == [0]
        assert rejected["value"].tolist() == [None, "Xx"]
        with pytest.raises(ValueError, match="Row 1: Cannot read None as a composition"):
            ElementalModeTransformer().fit(X)
    wrong = by_site.with_columns(B=pl.Series(["Xx", "Al"]))
    valid, rejected = ElementalModeTransformer(prototype="elpasolite").check_rows(wrong)
    assert valid.tolist() == [1]
    assert rejected.loc[0, "reason"].startswith("site B: Cannot read the formula 'Xx'")
    with pytest.raises(ValueError, match="got an array of shape"):
        ElementalModeTransformer().fit(by_site)
    with pytest.raises(ValueError, match="Expected a sequence of formulas, got <LazyFrame"):
        ElementalModeTransformer().fit(by_site.lazy())


@pytest.mark.parametrize("column", ["formula", ["formula"]])
@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_in_a_column_transformer(frame, column, output):
    transformer = make_column_transformer(
        (ElementalModeTransformer(), column), remainder="passthrough"
    ).set_output(transform=output)
    found = transformer.fit_transform(frame)
    kinds = {"default": "numpy", "pandas": "pandas", "polars": "polars"}
    assert type(found).__module__.startswith(kinds[output])
    np.testing.assert_array_equal(
        np.asarray(found)[:, :-1], ElementalModeTransformer().fit_transform(FORMULAS)
    )
    np.testing.assert_array_equal(np.asarray(found)[:, -1], frame["energy"])


def test_set_output_of_polars(frame):
    for X in (FORMULAS, frame["formula"], frame[["formula"]]):
        found = ElementalModeTransformer().set_output(transform="polars").fit_transform(X)
        assert isinstance(found, pl.DataFrame)
        assert found.shape == (6, 118)
        assert found.columns[0] == "mean_mode1"


def test_models_have_the_same_predictions(frame, by_site):
    X, y = frame["formula"], frame["energy"]
    for pooling in (None, "statistics"):
        pipeline = make_formation_energy_pipeline(
            pooling=pooling, n_estimators=1, max_iter=2, random_state=0
        )
        expected = clone(pipeline).fit(FORMULAS, y.to_list()).predict(FORMULAS)
        for output in ("default", "polars"):
            model = clone(pipeline).set_output(transform=output)
            for column in (X, X.to_frame()):
                found = model.fit(column, y).predict(column)
                np.testing.assert_allclose(found, expected, rtol=1e-5)
    for held_out in (X, X.to_frame()):
        assert cross_val_predict(pipeline, held_out, y.to_numpy(), cv=2).shape == (6,)
        found = predict_held_out(pipeline, held_out, y, cv=LeaveOneElementOut(min_samples=1))
        assert len(found) == 15
    best = screen(pipeline.fit(X, y), X, k=2)
    assert set(best["formula"]) <= set(FORMULAS)
    crystals = make_formation_energy_pipeline("elpasolite", n_estimators=1, max_iter=1)
    assert screen(crystals.fit(by_site, [-2.9, -2.0]), by_site, k=1).shape == (1, 5)
