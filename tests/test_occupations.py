import numpy as np
import pytest

from sklearn_elmodes import load_pretrained
from sklearn_elmodes._inputs import contained_elements
from sklearn_elmodes.occupations import alchemical_path, parse_species

PATHS = [
    (["Na", "Al", "Cs", "F"], ["K", "Al", "Cs", "F"]),
    (["K", "Al", "Na", "F"], ["K", "Al", "Na", "Cl"]),
    (["K", "Al", "Na", "F"], ["Rb", "In", "Cs", "I"]),
]


@pytest.fixture(scope="module")
def model():
    return load_pretrained("elpasolites")


def test_amounts_change_linearly_between_the_pure_species():
    x, crystals = alchemical_path(["Na", 13], ["K", "Al"], n_points=1001)
    assert crystals.shape == (1001, 2)
    assert crystals[0].tolist() == ["Na", "Al"]
    assert crystals[-1].tolist() == ["K", "Al"]
    for share, species in zip(x[1:-1], crystals[1:-1, 0], strict=True):
        assert parse_species(species) == pytest.approx({"Na": 1 - share, "K": share}, abs=1e-11)


def test_between_mixtures_amounts_are_shares_of_a_site():
    _, crystals = alchemical_path(["Na3K1"], ["Na0.5Rb0.5"], n_points=3)
    assert parse_species(crystals[0, 0]) == {"Na": 0.75, "K": 0.25}
    assert parse_species(crystals[1, 0]) == {"Na": 0.625, "K": 0.125, "Rb": 0.25}


def test_traces_too_small_to_write_are_left_out():
    _, crystals = alchemical_path([{"Na": 1e13, "K": 1}], np.array([37]), n_points=3)
    assert crystals[:, 0].tolist() == ["Na", "Na0.5Rb0.5", "Rb"]


def test_mixtures_are_written_as_they_are_read():
    from sklearn_elmodes.occupations import _read_occupations

    mixtures = [{"Na": 2.0, "K": 1.0}, {"Na": 1e-5, "K": 1.0}, {"Co": 2.5, "H": 2.0, "O": 1.0}]
    for amounts in mixtures:
        X = np.array([["".join(f"{symbol}{amount:.6f}" for symbol, amount in amounts.items())]])
        written = _read_occupations(X).complete().describe(0)
        assert parse_species(written) == amounts
        assert "e" not in written


@pytest.mark.parametrize(("start", "end"), PATHS)
def test_end_points_have_the_energies_of_the_pure_crystals(model, start, end):
    _, crystals = alchemical_path(start, end)
    modes = model[0]
    np.testing.assert_array_equal(modes.transform(crystals)[[0, -1]], modes.transform([start, end]))
    # In float32 the last bits depend on the other rows of a batch.
    np.testing.assert_allclose(
        model.predict(crystals)[[0, -1]], model.predict([start, end]), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(("start", "end"), PATHS)
def test_energies_are_smooth(model, start, end):
    coarse, fine = (
        np.abs(np.diff(model.predict(alchemical_path(start, end, n_points)[1]))).max()
        for n_points in (101, 1001)
    )
    assert coarse < 0.05  # eV/atom for a hundredth of the path
    assert fine < coarse / 8  # no jump: steps shrink with their number


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["Na"], ["K", "Al"]), "one for each site"),
        (("Na", "KK"), "one for each site"),
        (({"Na": 1}, ["K"]), "one for each site"),
        ((None, ["K"]), "one for each site"),
        ((["Na"], ["K"], 1), "n_points=1 must be an integer of at least 2"),
        ((["Na"], ["K"], 3.0), "n_points=3.0 must be an integer"),
        ((["Na", "Xx"], ["K", "Al"]), "Site 2: .*unknown element 'Xx'"),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        alchemical_path(*arguments)


def test_traces_count_as_contained():
    contains = contained_elements([{"Na": 1e99, "K": 1e-300}])
    assert contains[0, [10, 18]].all()
    assert contains.sum() == 2


def test_the_error_names_the_first_bad_row():
    with pytest.raises(ValueError, match="Row 0: site 2: 300 is neither"):
        contained_elements(np.array([[11, 300], [200, 17]]))
