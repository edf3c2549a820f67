"""Datasets of formation energies, downloaded once or read from a dependency."""

from sklearn_elmodes.datasets._elpasolites import fetch_elpasolites
from sklearn_elmodes.datasets._expt_formation_enthalpies import load_expt_formation_enthalpies

__all__ = ["fetch_elpasolites", "load_expt_formation_enthalpies"]
