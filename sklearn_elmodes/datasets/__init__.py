"""Formation energies to learn from: some come with a dependency, some are fetched."""

from sklearn_elmodes.datasets._elpasolites import fetch_elpasolites
from sklearn_elmodes.datasets._expt_formation_enthalpies import load_expt_formation_enthalpies

__all__ = ["fetch_elpasolites", "load_expt_formation_enthalpies"]
