"""
Alchemical path between two crystals
====================================

A site may hold a mixture, whose modes are the mean of the modes of its elements. In this way one
crystal can be transformed into another in small steps.
"""

# %%
# Replace half of the fluorine in K\ :sub:`2`\ NaAlF\ :sub:`6` by chlorine. All six sites then hold
# the same fictitious atom between the two elements: the *virtual-crystal approximation*.

from sklearn_elmodes import load_pretrained

model = load_pretrained("elpasolites")
crystals = [["Na", "Al", "K", halogen] for halogen in ("F", "F0.5Cl0.5", "Cl")]
print(model.predict(crystals).round(3))

# %%
# ``alchemical_path`` returns the steps; the ends are the pure crystals.

from sklearn_elmodes.occupations import alchemical_path

x, path = alchemical_path(crystals[0], ["Na", "Al", "K", "Cl"], n_points=5)
for share, crystal in zip(x, path, strict=True):
    print(share, *crystal)

# %%
# Two paths; the band is one standard deviation to either side. No training crystal has a mixed
# site, so between its ends a curve is an interpolation by the network and not the energy of a solid
# solution. The slope at an end suggests which substitution lowers the energy; small bends have no
# physical meaning.

import matplotlib.pyplot as plt

from sklearn_elmodes.inspection import AlchemicalPathDisplay

_, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
AlchemicalPathDisplay.from_estimator(model, crystals[0], crystals[-1], ax=axes[0])
AlchemicalPathDisplay.from_estimator(
    model, ["Na", "Al", "K", "F"], ["Na", "Ga", "Cs", "F"], ax=axes[1]
)
plt.show()
