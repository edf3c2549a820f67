import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.decomposition import PCA

from sklearn_elmodes import ElementAutoencoder
from sklearn_elmodes.elements import HERR2019_COLUMNS, property_table
from sklearn_elmodes.inspection import reconstruction_r2, share_of_neighbours


@pytest.fixture(scope="module")
def table():
    return property_table("extended")


@pytest.fixture(scope="module")
def fitted(table):
    return ElementAutoencoder(random_state=0).fit(table)


def mean(scores):
    return np.mean(list(scores.values()))


def test_properties_are_reconstructed_from_the_modes(table, fitted):
    found = reconstruction_r2(table, fitted.inverse_transform(fitted.transform(table)))
    assert np.mean([found[name] for name in HERR2019_COLUMNS]) > 0.99
    assert min(found.values()) > 0.97


def test_modes_keep_more_than_as_many_principal_components():
    table = property_table("herr2019")
    autoencoder = ElementAutoencoder(3, random_state=0).fit(table)
    restored = autoencoder.inverse_transform(autoencoder.transform(table))
    X = (table - table.mean()) / table.std()
    pca = PCA(3).fit(X)
    linear = mean(reconstruction_r2(X, pca.inverse_transform(pca.transform(X))))
    assert mean(reconstruction_r2(table, restored)) > linear + 0.02


def test_held_out_elements_are_reconstructed_better_than_by_pca():
    table = property_table("herr2019")
    left_out = table.iloc[3::6]
    rest = table.drop(left_out.index)
    autoencoder = ElementAutoencoder(4, random_state=0).fit(rest)
    restored = autoencoder.inverse_transform(autoencoder.transform(left_out))
    found = mean(reconstruction_r2(left_out, restored))
    centre, deviation = rest.mean(), rest.std()
    pca = PCA(4).fit((rest - centre) / deviation)
    linear = (left_out - centre) / deviation
    linear = pca.inverse_transform(pca.transform(linear)) * deviation.values + centre.values
    assert found > 0.9
    assert found > mean(reconstruction_r2(left_out, linear))


def test_modes_keep_the_trends_of_the_periodic_table(table, fitted):
    modes = pd.DataFrame(fitted.transform(table), index=table.index)
    assert share_of_neighbours(modes) > 0.75
    ten = property_table("herr2019")
    distances = pdist(((ten - ten.mean()) / ten.std()).to_numpy())
    assert spearmanr(pdist(modes.loc[ten.index].to_numpy()), distances).statistic > 0.8
    shuffled = modes.sample(frac=1, random_state=0).set_axis(modes.index)
    assert share_of_neighbours(shuffled) < 0.3


def test_modes_are_canonical(table, fitted):
    modes = fitted.transform(table)
    np.testing.assert_allclose(modes.mean(axis=0), 0, atol=1e-9)
    covariance = np.cov(modes.T, ddof=0)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9)
    assert (np.diff(np.diag(covariance)) < 0).all()
    filled = ((table - table.mean()) / table.std(ddof=0)).fillna(0).to_numpy()
    overlap = filled.T @ modes  # the modes have mean zero
    assert (overlap[np.abs(overlap).argmax(axis=0), np.arange(12)] > 0).all()


def test_missing_values_are_imputed(table):
    """Hide known radii; their imputed values should be far better than the mean."""
    column = table.columns.get_loc("covalent_radius_pyykko_pm")
    hidden = np.arange(1, 103, 10)
    X = table.to_numpy().copy()
    truth = X[hidden, column].copy()
    X[hidden, column] = np.nan
    autoencoder = ElementAutoencoder(random_state=0).fit(X)
    restored = autoencoder.inverse_transform(autoencoder.transform(X))[hidden, column]
    assert np.isfinite(restored).all()
    assert np.abs(restored - truth).mean() < 0.5 * np.abs(truth - truth.mean()).mean()


def test_a_gap_is_not_the_mean(table):
    """The encoder reads that a value is missing, not a value that it might have."""
    gappy = table.copy()
    gappy.iloc[::4, 3] = np.nan
    autoencoder = ElementAutoencoder(3, max_iter=100, random_state=0).fit(gappy)
    n = gappy.shape[1]
    gap_weights = autoencoder.encoder_[0][0][n:]
    assert np.abs(gap_weights[3]).max() > 1e-3
    assert not gap_weights[[0, 1, 2]].any()  # never missing
    filled = gappy.fillna(gappy.mean())
    differ = np.abs(autoencoder.transform(gappy) - autoencoder.transform(filled)).max(axis=1)
    missing = gappy.isna().any(axis=1).to_numpy()
    assert differ[missing].min() > 1e-4
    np.testing.assert_array_equal(differ[~missing], 0)


def test_a_value_never_missing_in_fit_is_imputed_by_the_mean(fitted, table):
    row = table.loc[["Na"]].copy()
    modes = fitted.transform(row)
    row["melting_point_k"] = np.nan
    assert np.isfinite(fitted.transform(row)).all()
    assert np.abs(fitted.transform(row) - modes).max() < 2


def test_rows_and_columns_of_nan_raise(table):
    X = table.to_numpy().copy()
    X[3] = np.nan
    with pytest.raises(ValueError, match="Row 3 of X has no known property"):
        ElementAutoencoder().fit(X)
    X = table.to_numpy().copy()
    X[:, 2] = np.nan
    with pytest.raises(ValueError, match="Property 2 of X is NaN in every row"):
        ElementAutoencoder().fit(X)


def test_inverse_transform_checks_the_number_of_modes(fitted):
    with pytest.raises(
        ValueError, match=r"Expected modes of shape \(n_elements, 12\), got \(2, 3\)"
    ):
        fitted.inverse_transform(np.zeros((2, 3)))


@pytest.mark.parametrize("sizes", [(2.5,), (0,), (-1,), [[8, 8]], ("a",), 8])
def test_invalid_widths(table, sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        ElementAutoencoder(hidden_layer_sizes=sizes, max_iter=1).fit(table)


def test_no_hidden_layers_make_it_linear(table):
    modes = ElementAutoencoder(2, hidden_layer_sizes=(), max_iter=5, random_state=0)
    assert len(modes.fit(table).encoder_) == 1


def test_more_modes_than_rows():
    X = np.arange(12.0).reshape(3, 4) ** 1.5
    modes = ElementAutoencoder(6, max_iter=50, random_state=0).fit_transform(X)
    assert modes.shape == (3, 6)
    assert np.isfinite(modes).all()
    covariance = np.cov(modes.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-12)
    np.testing.assert_allclose(np.diag(covariance)[2:], 0, atol=1e-12)


def test_equal_seeds_equal_modes_and_names(table):
    first, second = (
        ElementAutoencoder(3, max_iter=50, random_state=1).fit(table) for _ in range(2)
    )
    np.testing.assert_array_equal(first.transform(table), second.transform(table))
    assert first.get_feature_names_out().tolist() == ["mode1", "mode2", "mode3"]
    assert len(first.loss_curve_) == first.n_iter_ == 50
    assert first.loss_curve_[-1] < first.loss_curve_[0]


def test_divergence_raises_with_advice(table):
    with pytest.raises(ValueError, match="Lower learning_rate_init"):
        ElementAutoencoder(
            activation="relu", learning_rate_init=1e200, max_iter=20, random_state=0
        ).fit(table)
