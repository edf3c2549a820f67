import pickle
import re

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition
from sklearn.base import clone

from sklearn_elmodes import (
    ElementalModeTransformer,
    ElementAutoencoder,
    Prototype,
    make_formation_energy_pipeline,
)
from sklearn_elmodes.elements import ATOMIC_NUMBERS, PROPERTY_TABLES, property_table
from sklearn_elmodes.exceptions import RowError
from sklearn_elmodes.modes import ElementModes
from sklearn_elmodes.pretrained import rebuild

TINY = {"Na": 1e-310, "Al": 1e-310, "K": 2e-310, "F": 6e-310}
FORMULAS = ["NaCl", "Ca(OH)2", "CuSO4·5H2O", "Si", "K2NaAlF6", "Fe0.95O"]


@pytest.fixture(scope="module")
def transformer():
    return ElementalModeTransformer(dtype="float64").fit(FORMULAS)


@pytest.fixture(scope="module")
def sites():
    return ElementalModeTransformer(prototype="elpasolite", dtype="float64").fit(["K2NaAlF6"])


def test_pooled_features_match_their_definition(transformer):
    features = pd.DataFrame(
        transformer.transform(FORMULAS), columns=transformer.get_feature_names_out()
    )
    for row, formula in enumerate([*FORMULAS[:2], "CuSO4(H2O)5", *FORMULAS[3:]]):
        amounts = Composition(formula).get_el_amt_dict()
        weights = np.array(list(amounts.values())) / sum(amounts.values())
        modes = transformer.modes_.loc[list(amounts)].to_numpy()
        mean = weights @ modes
        covariance = (weights[:, None] * (modes - mean)).T @ (modes - mean)
        found = features.loc[row]
        for i in range(12):
            name = f"mode{i + 1}"
            assert found[f"mean_{name}"] == pytest.approx(mean[i], abs=1e-9)
            assert found[f"std_{name}"] == pytest.approx(np.sqrt(covariance[i, i]), abs=1e-7)
            assert found[f"min_{name}"] == pytest.approx(modes[:, i].min())
            assert found[f"max_{name}"] == pytest.approx(modes[:, i].max())
            for j in range(i + 1, 12):
                assert found[f"covariance_{name}_mode{j + 1}"] == pytest.approx(
                    covariance[i, j], abs=1e-9
                )
        assert found["n_elements"] == len(amounts)
        assert found["fraction_norm2"] == pytest.approx(np.linalg.norm(weights))
        assert found["fraction_norm3"] == pytest.approx((weights**3).sum() ** (1 / 3))
        assert found["fraction_max"] == pytest.approx(weights.max())


def test_features_do_not_depend_on_how_a_composition_is_written(transformer):
    same = ["Fe2O3", "O3Fe2", "Fe4O6", {"O": 3, "Fe": 2}, Composition("Fe2O3"), "FeO1.5"]
    features = transformer.transform(same)
    np.testing.assert_allclose(features, np.tile(features[0], (6, 1)), atol=1e-12)


def test_features_of_a_row_do_not_depend_on_other_rows(transformer):
    formulas = FORMULAS * 1000  # more than one block
    features = transformer.transform(formulas)
    np.testing.assert_array_equal(features[: len(FORMULAS)], transformer.transform(FORMULAS))
    np.testing.assert_array_equal(features[::-1], transformer.transform(formulas[::-1]))
    assert np.isfinite(features).all()


def test_feature_names_and_layout(transformer, sites):
    names = transformer.get_feature_names_out()
    assert len(names) == len(set(names)) == transformer.transform(FORMULAS).shape[1] == 118
    names = sites.get_feature_names_out()
    assert names[:2].tolist() == ["A_mode1", "A_mode2"]
    assert len(names) == 48
    with pytest.raises(ValueError, match="input_features"):
        transformer.get_feature_names_out(["a", "b"])


def test_set_output_keeps_the_callers_index():
    column = pd.Series(FORMULAS, index=list("uvwxyz"), name="formula")
    for X in (column, column.to_frame()):
        frame = ElementalModeTransformer().set_output(transform="pandas").fit_transform(X)
        assert frame.index.tolist() == list("uvwxyz")
        assert frame.dtypes.unique().tolist() == [np.float32]


def test_sites_hold_the_modes_of_their_elements(sites):
    features = sites.transform([["Na", "Al", "K", "F"]]).reshape(4, 12)
    np.testing.assert_allclose(features, sites.modes_.loc[["Na", "Al", "K", "F"]], rtol=1e-12)


def test_all_forms_of_sites_agree(sites, elpasolites):
    X = elpasolites[0][:500]
    expected = sites.transform(X)
    numbers = np.vectorize(ATOMIC_NUMBERS.get)(X)
    frame = pd.DataFrame(X, columns=list("ABCD"))
    containers = [
        X.tolist(),
        X.astype(object),
        X.astype("U5"),
        numbers,
        numbers.astype(np.uint8),
        numbers.astype(float),
        numbers.astype(object),
        frame,
        frame.astype("string"),
        frame.astype("category"),
        [tuple(row) for row in X],
        X[:, ::-1][:, ::-1],
    ]
    for container in containers:
        found = clone(sites).fit_transform(container)
        np.testing.assert_array_equal(found, expected)
    formulas = [f"{a}{b}{c}2{d}6" for a, b, c, d in X]
    found = sites.transform(formulas).reshape(-1, 4, 12)
    expected = expected.reshape(-1, 4, 12)
    np.testing.assert_array_equal(found[:, 2:], expected[:, 2:])
    np.testing.assert_allclose(found[:, :2].sum(axis=1), expected[:, :2].sum(axis=1), atol=1e-12)


def test_alchemical_sites_mix_modes_and_end_at_the_pure_elements(sites):
    pure = sites.transform([["Na", "Al", "K", "F"], ["Rb", "Al", "K", "F"]])
    for x in (0.25, 0.5, 0.9):
        mixed = sites.transform([[f"Na{1 - x:.2f}Rb{x:.2f}", "Al", "K", "F"]])
        np.testing.assert_allclose(mixed[0], (1 - x) * pure[0] + x * pure[1], atol=1e-12)
    np.testing.assert_array_equal(sites.transform([["Na2", "Al", "K", "F"]])[0], pure[0])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([["Na", "Al", "K", "Xx"]], "Row 0: site D: .*unknown element 'Xx'"),
        ([["Na", "Al", "K", "F"], ["Na", "Al", None, "F"]], "Row 1: site C: Cannot read None"),
        (
            [["Na", "Al", "K", "F"], ["Na", np.nan, "K", "F"]],
            "Row 1: site B: nan is neither an element symbol nor an atomic number",
        ),
        (
            np.array([[11, 13, 19, 0]]),
            r"Row 0: site D: 0 is neither .* nor an atomic number \(1 to 118\)",
        ),
        (np.array([[11, 13, 19, -9]]), "Row 0: site D: -9 is neither"),
        (np.array([[11, 13, 19, 10**12]]), "Row 0: site D: 1000000000000 is neither"),
        (np.array([[11, 13, 19, 9.5]]), "Row 0: site D: 9.5 is neither"),
        (np.array([[11, 13, 19, np.inf]]), "Row 0: site D: inf is neither"),
        ([["Na", "Al", "K", "F"], ["Na", True, "K", "F"]], "Row 1: site B: True is neither"),
        (np.array([[11, 13, 19, 9], [11, 13, 200, 9], [0, 13, 19, 9]]), "Row 1: site C: 200 is"),
        ([["Na", "Al", "K", "Og"]], "Row 0: site D: no modes for the element Og"),
        ([["Na", "Al", "K"]], "X has 3 columns; the prototype ABC2D6 has 4 sites: A, B, C, D"),
        (
            [["Na", "Al", "K", "F"], ["Na", "Al", "K"]],
            "Row 1: expected 4 sites, as in row 0, got 3",
        ),
        (["NaCl"], "Row 0: Na1 Cl1 does not fit the prototype ABC2D6"),
    ],
)
def test_bad_sites_name_row_and_site(sites, X, message):
    with pytest.raises(ValueError, match=message):
        sites.transform(X)
    with pytest.raises(ValueError, match=message):
        clone(sites).fit(X)


def test_an_element_without_modes_is_named_with_its_row_and_formula():
    formulas = ["NaCl", "CeO2"]
    table = ElementalModeTransformer(properties="herr2019")
    with pytest.raises(ValueError, match="Row 1: Ce1 O2: no modes for the element Ce, which"):
        table.fit(formulas)
    features = table.set_params(handle_unknown="nan").fit_transform(formulas)
    assert np.isfinite(features[0]).all()
    assert np.isnan(features[1]).all()


def test_unknown_elements_on_sites_are_nan_only_on_request():
    salts = ElementalModeTransformer(prototype="rock-salt", handle_unknown="nan")
    features = salts.fit_transform([["Na", "Cl"], ["Og", "Cl"]])
    assert np.isfinite(features[0]).all()
    assert np.isnan(features[1]).all()


def test_custom_property_table(elpasolites):
    table = property_table("extended")[["period", "group", "electronegativity_pauling"]].loc[
        ["Na", "K", "Cl"]
    ]
    before = table.copy()
    own = ElementalModeTransformer(
        2, properties=table, autoencoder=ElementAutoencoder(max_iter=20, random_state=0)
    )
    assert own.fit_transform(["NaCl", "KCl"]).shape == (2, 4 * 2 + 1 + 4)
    assert own.autoencoder_.n_components == 2
    pd.testing.assert_frame_equal(table, before)
    with pytest.raises(ValueError, match="no modes for the element Br, which the DataFrame"):
        own.transform(["KBr"])
    with pytest.raises(ValueError, match="'Foo' is not an element symbol"):
        own.set_params(properties=table.rename({"Na": "Foo"})).fit(["KCl"])
    with pytest.raises(ValueError, match="several rows for the element K"):
        own.set_params(properties=table.rename({"Na": "K"})).fit(["KCl"])


@pytest.mark.parametrize("name", PROPERTY_TABLES)
def test_bundled_modes_equal_trained_modes(name, tmp_path):
    rebuild.write_modes(tmp_path)
    rebuilt = pd.read_csv(tmp_path / f"modes_{name}.csv", index_col=0, keep_default_na=False)
    shipped = ElementModes.from_properties(name).to_frame()
    assert rebuilt.index.equals(shipped.index)
    # Rounding differs between machines, and training amplifies it.
    assert np.abs(rebuilt - shipped).to_numpy().max() < 0.05


def test_default_settings_use_the_bundled_modes():
    transformer = ElementalModeTransformer().fit(["NaCl"])
    assert transformer.autoencoder_ is None
    shipped = ElementModes.from_properties("extended").to_frame()
    pd.testing.assert_frame_equal(transformer.modes_, shipped)
    assert len(transformer.modes_) == 103


def test_columns_named_like_the_sites_come_in_any_order(sites):
    frame = pd.DataFrame([["F", "K", "Al", "Na"]], columns=list("DCBA"))
    found = clone(sites).fit_transform(frame)
    np.testing.assert_array_equal(found, sites.transform([["Na", "Al", "K", "F"]]))


def test_one_site():
    metals = ElementalModeTransformer(prototype="A").fit(["Na", "K"])
    expected = metals.transform(["Na", "Na0.5K0.5"])
    np.testing.assert_array_equal(metals.transform([["Na"], ["Na0.5K0.5"]]), expected)
    np.testing.assert_array_equal(metals.transform(np.array([[11]])), expected[:1])


def test_prototype_objects_and_strings_are_equivalent():
    X = ["CaTiO3"]
    prototype = Prototype("ABX3", equivalent_sites=[("A", "B")])
    assert ElementalModeTransformer(prototype=prototype).fit_transform(X).shape == (1, 36)
    with pytest.raises(ValueError, match="in several ways"):
        ElementalModeTransformer(prototype="ABX3").fit(X)


def test_no_rows(transformer, sites):
    for fitted in (transformer, sites):
        with pytest.raises(ValueError, match=r"0 sample\(s\)"):
            fitted.transform([])


def test_check_rows_finds_all_bad_rows_at_once():
    transformer = ElementalModeTransformer(properties="herr2019").fit(["NaCl"])
    X = ["NaCl", "Xx", "CeO2", None, "Ca(OH)2", "NaCl", "Ce2Xx", "Na)"]
    valid, rejected = transformer.check_rows(X)
    assert valid.tolist() == [0, 4, 5]
    assert rejected.index.tolist() == [1, 2, 3, 6, 7]
    assert rejected["value"].tolist() == ["Xx", "CeO2", None, "Ce2Xx", "Na)"]
    assert "no modes for the element Ce" in rejected.loc[2, "reason"]
    for row, reason in rejected["reason"].items():
        with pytest.raises(ValueError, match=re.escape(f"Row 0: {reason}")):
            transformer.transform([X[row]])
    transformer.transform([X[row] for row in valid])
    assert transformer.check_rows(X[:1])[1].empty


@pytest.mark.parametrize(
    ("X", "valid"),
    [
        (["K2NaAlF6", "NaCl", "Xx", "K2NaAlF6", "K2NaAlF"], [0, 3]),
        (pd.Series(["Xx", "K2NaAlF6"], index=[7, 7]), [1]),
        ([["Na", "Al", "K", "F"], ["Na", "Xx", "K", "F"], ["Na", "Al", "K", ""]], [0]),
        (np.array([[11, 13, 19, 9], [0, 13, 200, 9], [11, 13, 19, 9]]), [0, 2]),
    ],
)
def test_check_rows_with_a_prototype(sites, X, valid):
    found, rejected = sites.check_rows(X)
    assert found.tolist() == valid
    assert sorted([*found, *rejected.index]) == list(range(len(X)))
    assert (rejected["reason"].str.len() > 10).all()


@pytest.mark.parametrize(
    ("X", "valid"),
    [
        ([["Na", "Al", "K", "F"], ["Na", "Al", "K"], ["Na", "Al", "K", "F"]], [0, 2]),
        ([["Na", "Al", "K", "F"], None], [0]),
        ([["Na", "Al", "K", "F"], ["Na", {"Al": 1}, "K", "F"], ["Na", ["Al"], 19, 9]], [0]),
        (np.array([["Na", "Al", "K", "F"], ["Na", {}, "K", "F"]], dtype=object), [0]),
        (pd.DataFrame([["Na", "Al", "K", "F"], ["Na", [], "K", "F"]], columns=[0, 1, 2, 3]), [0]),
        (np.array([["K2NaAlF6"], ["Xx"]]), [0]),
        ((formula for formula in ("Xx", "K2NaAlF6")), [1]),
        ({"a": "K2NaAlF6", "b": "Xx"}.values(), [0]),
        ([["Na", "Al", "K", "F"], ["Na", (["Al"],), "K", "F"]], [0]),
        ([["K2NaAlF6"], ["K", "Br"]], [0]),
        (["K2NaAlF6", TINY, ["K", "Br"], [], ["K2NaAlF6"]], [0, 1, 4]),
    ],
)
def test_check_rows_and_transform_take_the_same_input(sites, X, valid):
    found, rejected = sites.check_rows(X)
    assert found.tolist() == valid
    assert (rejected["reason"].str.len() > 10).all()
    assert (
        not rejected["value"]
        .map(lambda value: isinstance(value, np.ndarray) and value.size == 1)
        .any()
    )


def test_check_rows_raises_without_a_column(sites):
    for X in (5, None, "NaCl", b"NaCl", np.array("NaCl"), {"Na": 1}, {"NaCl"}):
        with pytest.raises(ValueError, match="Expected"):
            sites.check_rows(X)
        with pytest.raises(ValueError, match="Expected"):
            sites.transform(X)


def test_check_rows_rejects_rows_that_would_become_nan():
    lenient = ElementalModeTransformer(handle_unknown="nan").fit(["NaCl"])
    assert lenient.check_rows(["NaCl", "OgF"])[0].tolist() == [0]
    lenient = ElementalModeTransformer(prototype="rock-salt", handle_unknown="nan").fit(["NaCl"])
    assert lenient.check_rows(["NaCl", "OgF"])[0].tolist() == [0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": [1.0, 2.0, "x"]}, "properties must be numbers"),
        ({"a": [1.0, 2.0, {}]}, "properties must be numbers"),
        ({"a": [1.0, 2.0, 10**400]}, "properties must be numbers"),
        ({"a": [1.0, 2.0, np.inf]}, "properties contains inf for Cl in the column 'a'"),
        ({"a": [1e200, -1e200, 1e200]}, "Property 0 of X is too large to scale"),
    ],
)
def test_invalid_property_tables(table, message):
    frame = pd.DataFrame(table, index=["Na", "K", "Cl"], dtype=object)
    with pytest.raises(ValueError, match=message):
        ElementalModeTransformer(1, properties=frame).fit(["NaCl"])


def test_property_tables_of_other_types():
    frame = pd.DataFrame(
        {"a": pd.array([1, 2, pd.NA], dtype="Int64"), 1: [3.0, None, 5.0], ("b", 2): [1, 0, 1]},
        index=["Na", "K", "Cl"],
    ).astype(object)
    autoencoder = ElementAutoencoder(max_iter=3, random_state=0)
    model = ElementalModeTransformer(1, properties=frame, autoencoder=autoencoder)
    assert np.isfinite(model.fit_transform(["NaCl", "KCl"])).all()


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (["K2NaAlF6", "NaCl", "K2NaAlF6", "Xx"], "Row 1: Na1 Cl1 does not fit"),
        (["K2NaAlF6", "K2NaAlOg6", "NaCl", "Xx"], "Row 1: site D: no modes for the element Og"),
        (pd.Series(["K2NaAlF6", "NaCl", "Xx"], index=[5, 5, 5]), "Row 1: Na1 Cl1 does not fit"),
        ((formula for formula in ("NaCl", "K2NaAlF6", "Xx")), "Row 0: Na1 Cl1 does not fit"),
        ([["Na", "Al", "K", "Xx"], ["Na", "Al", "K"]], "Row 0: site D: .*unknown element 'Xx'"),
    ],
)
def test_the_error_names_the_first_bad_row(sites, X, message):
    with pytest.raises(ValueError, match=message) as caught:
        sites.transform(X)
    assert caught.value.__context__ is None
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_without_pooling_each_element_keeps_its_modes_and_amount():
    transformer = ElementalModeTransformer(pooling=None, max_elements=4)
    features = transformer.fit_transform(["O6Fe4", "Si"])
    names = transformer.get_feature_names_out()
    assert features.shape == (2, 52) == (2, len(set(names)))
    assert names[[0, 11, 12, 13, 51]].tolist() == [
        "element1_mode1",
        "element1_mode12",
        "element1_amount",
        "element2_mode1",
        "element4_amount",
    ]
    blocks = features.reshape(2, 4, 13)
    # By atomic number, in the reduced formula unit.
    np.testing.assert_allclose(blocks[0, :2, :12], transformer.modes_.loc[["O", "Fe"]], rtol=1e-6)
    np.testing.assert_array_equal(blocks[:, :, 12], [[3, 2, 0, 0], [1, 0, 0, 0]])
    assert not blocks[0, 2:].any()
    assert not blocks[1, 1:].any()


def test_without_pooling_rows_are_limited_by_max_elements_and_modes():
    transformer = ElementalModeTransformer(pooling=None, max_elements=3).fit(["NaCl"])
    formulas = ["NaCl", "K2NaAlF6", "Og", "CaTiO3"]
    with pytest.raises(ValueError, match=r"Row 1.*4 elements, more than max_elements=3"):
        transformer.transform(formulas)
    valid, rejected = transformer.check_rows(formulas)
    assert valid.tolist() == [0, 3]
    assert rejected.index.tolist() == [1, 2]
    lenient = ElementalModeTransformer(pooling=None, max_elements=3, handle_unknown="nan")
    features = lenient.fit_transform(["Og", "NaCl"])
    assert np.isnan(features[0]).all()
    assert np.isfinite(features[1]).all()


@pytest.mark.parametrize("pooling", ["statistics", None])
def test_invalid_rows_are_nan_only_on_request(pooling):
    X = np.array(["NaCl", "Na)Cl", "KBr", None, "LiNaKRbF4"], dtype=object)
    transformer = ElementalModeTransformer(
        pooling=pooling, max_elements=3, handle_invalid="nan"
    ).fit(X)
    features = transformer.transform(X)
    bad = [1, 3] if pooling else [1, 3, 4]
    assert np.flatnonzero(np.isnan(features).all(axis=1)).tolist() == bad
    good = np.setdiff1d(np.arange(5), bad)
    plain = ElementalModeTransformer(pooling=pooling, max_elements=3)
    np.testing.assert_array_equal(features[good], plain.fit_transform(X[good]))
    np.testing.assert_array_equal(transformer.fit_transform(X), features)
    assert transformer.check_rows(X)[1].index.tolist() == bad
    assert np.isnan(transformer.transform(["Xx", "()"])).all()
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        transformer.transform([])
    with pytest.raises(RowError, match=r"Row 1: .*no modes for the element Og"):
        transformer.transform(["Na)Cl", "OgO2", "NaCl"])
    both = ElementalModeTransformer(handle_invalid="nan", handle_unknown="nan")
    assert np.isnan(both.fit_transform(["Na)Cl", "OgO2"])).all()
    unknown = ElementalModeTransformer(handle_unknown="nan").fit(["NaCl"])
    with pytest.raises(RowError, match=r"Row 0: .*Na\)Cl"):
        unknown.transform(["Na)Cl"])


def test_rows_that_do_not_fit_the_prototype_are_nan_on_request():
    transformer = ElementalModeTransformer(prototype="elpasolite", handle_invalid="nan")
    features = transformer.fit_transform(["K2NaAlF6", "Al2O3", "rubbish"])
    assert np.isnan(features).all(axis=1).tolist() == [False, True, True]


def test_skops_keeps_fitted_transformers_and_pipelines():
    skops = pytest.importorskip("skops.io")
    ours = "sklearn_elmodes."
    for transformer in (
        ElementalModeTransformer(),
        ElementalModeTransformer(prototype="elpasolite"),
        ElementalModeTransformer(3, autoencoder=ElementAutoencoder(max_iter=3, random_state=0)),
    ):
        expected = transformer.fit_transform(["K2NaAlF6"])
        content = skops.dumps(transformer)
        trusted = skops.get_untrusted_types(data=content)
        assert all(name.startswith(ours) for name in trusted)
        loaded = skops.loads(content, trusted=trusted)
        np.testing.assert_array_equal(loaded.transform(["K2NaAlF6"]), expected)
        pd.testing.assert_frame_equal(loaded.modes_, transformer.modes_)
    pipeline = make_formation_energy_pipeline(max_iter=1, random_state=0)
    pipeline.fit(["NaCl", "KBr"], [1.0, 2.0])
    content = skops.dumps(pipeline)
    trusted = skops.get_untrusted_types(data=content)
    assert {name.partition(".")[0] for name in trusted} <= {
        *("sklearn_elmodes", "skorch", "torch", "functools"),
    }
    loaded = skops.loads(content, trusted=trusted)
    np.testing.assert_array_equal(loaded.predict(["NaF"]), pipeline.predict(["NaF"]))
