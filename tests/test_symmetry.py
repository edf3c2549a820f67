"""Test permutations of sites."""

import itertools

import numpy as np
import pytest

from sklearn_elmodes._symmetry import canonical_order, equivalent_sets, permutation_group


def test_sets_of_sites_generate_all_their_permutations():
    group = permutation_group(4, [(0, 1)])
    assert group == ((0, 1, 2, 3), (1, 0, 2, 3))
    both = permutation_group(5, [(3, 0), (1, 2, 4)])
    assert len(both) == len(set(both)) == 12
    assert both[0] == tuple(range(5))
    assert equivalent_sets(both) == ((0, 3), (1, 2, 4))
    assert permutation_group(3) == ((0, 1, 2),)
    assert equivalent_sets(permutation_group(3)) == ()


def test_coupled_exchanges():
    group = permutation_group(4, permutations=[(1, 0, 3, 2)])
    assert group == ((0, 1, 2, 3), (1, 0, 3, 2))
    assert equivalent_sets(group) is None
    cycle = permutation_group(3, permutations=[(1, 2, 0), (2, 0, 1)])
    assert cycle[0] == (0, 1, 2)
    assert equivalent_sets(cycle) is None
    assert equivalent_sets(permutation_group(2, permutations=[(1, 0)])) == ((0, 1),)


@pytest.mark.parametrize(
    ("permutations", "message"),
    [
        ([(1, 2, 0)], r"form a group: \(1, 2, 0\) composed with \(1, 2, 0\) is \(2, 0, 1\)"),
        ([(0, 1)], "must be orders of the sites 0 to 2"),
        ([(0, 0, 1)], "must be orders of the sites 0 to 2"),
        ([("A", "B", "C")], "must be orders of the sites 0 to 2"),
        (5, "must be orders of the sites 0 to 2"),
        ([5], "must be orders of the sites 0 to 2"),
    ],
)
def test_permutations_must_form_a_group(permutations, message):
    with pytest.raises(ValueError, match=message):
        permutation_group(3, permutations=permutations)


def test_limits():
    with pytest.raises(ValueError, match="allows more than 24 orders"):
        permutation_group(5, [(0, 1, 2, 3, 4)])
    with pytest.raises(ValueError, match="more than 24 permutations"):
        permutation_group(5, permutations=itertools.permutations(range(5)))
    with pytest.raises(ValueError, match="either equivalent_sites or permutations"):
        permutation_group(2, [(0, 1)], [(1, 0)])


@pytest.mark.parametrize(
    "settings",
    [
        {"equivalent_sites": [(0, 1)]},
        {"equivalent_sites": [(0, 2), (1, 3)]},
        {"permutations": [(1, 0, 3, 2)]},
        {"permutations": [(1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)]},
    ],
)
def test_equal_crystals_become_equal_rows(settings, rng):
    group = permutation_group(4, **settings)
    rows = rng.randint(0, 5, (500, 4))
    expected = [min(tuple(row[list(order)]) for order in group) for row in rows]
    np.testing.assert_array_equal(canonical_order(rows, group), expected)
    for order in group:
        np.testing.assert_array_equal(canonical_order(rows[:, order], group), expected)
    assert (canonical_order(rows, group) != rows).any()
    assert canonical_order(rows[:0], group).shape == (0, 4)
