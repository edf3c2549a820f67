"""
From one element to another
===========================

A site may hold a mixture, whose modes are the mean of those of its elements. So one crystal can be
turned into another in small steps, and the energy followed on the way.
"""

# %%
# Half of the fluorine of K\ :sub:`2`\ NaAlF\ :sub:`6` replaced by chlorine, on every site of it
# at once: a fictitious atom between the two, the *virtual-crystal approximation*.

from sklearn_elmodes import load_pretrained

model = load_pretrained("elpasolites")
crystals = [["Na", "Al", "K", halogen] for halogen in ("F", "F0.5Cl0.5", "Cl")]
print(model.predict(crystals).round(3))

# %%
# ``alchemical_path`` writes the steps; the ends are the pure crystals.

from sklearn_elmodes.occupations import alchemical_path

x, path = alchemical_path(crystals[0], ["Na", "Al", "K", "Cl"], n_points=5)
for share, crystal in zip(x, path, strict=True):
    print(share, *crystal)

# %%
# Two paths. All data are pure crystals, so that a curve between its ends is the network's
# interpolation: its slope at an end suggests a substitution, its bends are not physics, and it is
# not the energy of a solid solution. The band is one standard deviation to either side.

import matplotlib.pyplot as plt

from sklearn_elmodes.inspection import AlchemicalPathDisplay

_, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
AlchemicalPathDisplay.from_estimator(model, crystals[0], crystals[-1], ax=axes[0])
AlchemicalPathDisplay.from_estimator(
    model, ["Na", "Al", "K", "F"], ["Na", "Ga", "Cs", "F"], ax=axes[1]
)
plt.show()
