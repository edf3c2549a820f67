"""
Which new oxides would be stable?
=================================

A compound is worth making if no mixture of other phases with its composition has a lower energy.
"""

# %%
# The convex hull of all phases of the OQMD, which are included with the package, and the general
# model, which was trained on energies of the same database.

from sklearn_elmodes import CompetingPhases, load_pretrained, screen
from sklearn_elmodes.candidates import FormulaCandidates
from sklearn_elmodes.datasets import load_oqmd_phases

phases, energies = load_oqmd_phases(return_X_y=True)
hull = CompetingPhases(source="OQMD").fit(phases, energies)
model = load_pretrained("oqmd")

# %%
# All ternary compounds of up to twelve atoms that common oxidation states can make neutral and that
# are not in the table of phases. ``decomposition_energy`` is negative for a compound that is
# predicted to be stable, and ``products`` are the phases that it would decompose into.

space = FormulaCandidates(
    ["Li", "Na", "Mg", "Ti", "Mn", "Fe", "O"],
    n_elements=3,
    max_atoms=12,
    oxidation_states="common",
    exclude=phases,
    constraints=lambda amounts: amounts["O"] > 0,
)
best = screen(
    model, space, k=10, hull=hull, objective="decomposition_energy", return_std=True, max_std=0.1
)
print(f"{len(space)} candidates")
print(best.round(3).to_string())

# %%
# How much trust do they deserve? The standard deviation only compares the networks of the model. A
# better answer comes from compounds whose energies are known: of the phases of the same elements,
# which are stable with their calculated energies, how many are found with the predicted ones?

import numpy as np

from sklearn_elmodes.formulas import element_fractions

own = [2, 10, 11, 21, 24, 25, 7]  # atomic numbers of the elements, minus one
known = element_fractions(phases)[:, own].sum(axis=1) > 0.999
predicted = hull.decomposition_energy(phases[known], model.predict(phases[known]))
calculated = hull.decomposition_energy(phases[known], energies[known])
print(f"{known.sum()} known phases; mean error {np.abs(predicted - calculated).mean():.3f} eV/atom")
print(
    f"{np.mean(predicted[calculated <= 0] <= 0):.0%} of the stable ones are predicted to be stable"
)

# %%
# The model was trained on most of these phases, so it errs more for new compounds. Fine-tuned on
# the Materials Project, it tells stable from unstable compounds that it has not seen with an
# accuracy of 0.813 (``benchmarks/stability.py``).

# %%
# The phase diagram of one of the systems. Lines connect phases that can coexist; diamonds are the
# candidates, yellow where the model expects a stable compound, and large where its networks agree.

import matplotlib.pyplot as plt

from sklearn_elmodes.inspection import StabilityDisplay

ternary = FormulaCandidates(["Li", "Fe", "O"], n_elements=3, max_atoms=10).to_numpy()
StabilityDisplay.from_estimator(model, hull, ["Li", "Fe", "O"], ternary)
plt.show()
