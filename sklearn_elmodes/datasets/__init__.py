"""Datasets of formation energies, downloaded once, included, or read from a dependency."""

from sklearn_elmodes.datasets._elpasolites import fetch_elpasolites
from sklearn_elmodes.datasets._expt_formation_enthalpies import load_expt_formation_enthalpies
from sklearn_elmodes.datasets._oqmd_phases import load_oqmd_phases

__all__ = ["fetch_elpasolites", "load_expt_formation_enthalpies", "load_oqmd_phases"]
