"""Mixtures of lowest energy for many compositions at once: a batched revised simplex method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TOLERANCE = 1e-12  # a phase of smaller reduced cost, relative to the energies, is not taken
_LEAST_PIVOT = 1e-10
_DANTZIG_STEPS = 50  # after which Bland's rule, which cannot cycle, takes over


def lowest_mixtures(
    fractions: Floats, phases: Floats, energies: Floats
) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Minimise the energy of a mixture of phases that has a given composition.

    This is a linear program for each sample: minimise the mean energy of the phases,
    weighted by their non-negative shares of the atoms, such that their mean composition is
    that of the sample.

    Parameters
    ----------
    fractions : ndarray of shape (n_samples, n_elements)
        Positive atomic fractions.
    phases : ndarray of shape (n_samples, n_phases, n_elements)
        Atomic fractions of the phases. The first ``n_elements`` phases are the elements,
        in the order of the columns; the search starts from them.
    energies : ndarray of shape (n_samples, n_phases)
        Energy per atom of each phase; infinity excludes a phase.

    Returns
    -------
    lowest : ndarray of shape (n_samples,)
        Energy per atom of the best mixture.
    mixed : ndarray of shape (n_samples, n_elements)
        Positions of its phases.
    shares : ndarray of shape (n_samples, n_elements)
        Share of the atoms in each of them; some may be zero.
    """
    n_samples, n_elements = fractions.shape
    lowest = np.empty(n_samples)
    mixed = np.empty((n_samples, n_elements), dtype=np.intp)
    final_shares = np.empty((n_samples, n_elements))

    samples = np.arange(n_samples)
    shares = fractions.copy()
    basis = np.tile(np.arange(n_elements), (n_samples, 1))
    inverse = np.tile(np.eye(n_elements), (n_samples, 1, 1))
    potentials = energies[:, :n_elements].copy()  # chemical potentials, the dual solution
    scale = np.abs(energies).max(axis=1, initial=1, where=np.isfinite(energies))
    step = 0
    while len(samples):
        reduced = energies - (phases @ potentials[:, :, None])[:, :, 0]
        improves = reduced < -_TOLERANCE * scale[:, None]
        going = improves.any(axis=1)
        if not going.all():
            done = samples[~going]
            lowest[done] = (fractions[done] * potentials[~going]).sum(axis=1)
            mixed[done], final_shares[done] = basis[~going], shares[~going]
            samples, shares, basis, inverse, potentials, scale, phases, energies = (
                array[going]
                for array in (samples, shares, basis, inverse, potentials, scale, phases, energies)
            )
            reduced, improves = reduced[going], improves[going]
        rows = np.arange(len(samples))
        careful = step >= _DANTZIG_STEPS
        entering = improves.argmax(axis=1) if careful else reduced.argmin(axis=1)
        direction = (inverse @ phases[rows, entering][:, :, None])[:, :, 0]
        ratios = np.full_like(shares, np.inf)
        np.divide(shares, direction, out=ratios, where=direction > _LEAST_PIVOT)
        least = ratios.min(axis=1)
        ties = ratios == least[:, None]
        # Bland's rule lets the first of the phases go, otherwise that of the largest pivot.
        key = -basis if careful else direction
        leaving = np.where(ties, key, np.finfo(float).min).argmax(axis=1)
        shares = np.maximum(shares - least[:, None] * direction, 0)
        shares[rows, leaving] = least
        basis[rows, leaving] = entering
        pivot = inverse[rows, leaving] / direction[rows, leaving][:, None]
        inverse -= direction[:, :, None] * pivot[:, None, :]
        inverse[rows, leaving] = pivot
        potentials += reduced[rows, entering][:, None] * pivot
        step += 1
    return lowest, mixed, final_shares
