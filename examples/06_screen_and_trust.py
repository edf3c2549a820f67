"""
Screen, and which predictions to trust
======================================

The lowest of many predictions include those with the largest errors. The standard deviation and
conformal intervals help to find them.
"""

# %%
# A space of candidates knows its length and generates its crystals on access. Here: elpasolites
# with a halogen, oxygen or sulphur on site D that common oxidation states can make neutral.

from sklearn_elmodes import Prototype, load_pretrained, screen

cations = ["Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Al", "Ga", "In", "Tl", "Sb", "Bi"]
anions = ["O", "S", "F", "Cl", "Br", "I"]
space = Prototype("elpasolite").candidates(
    {"A": cations, "B": cations, "C": cations, "D": anions}, oxidation_states="common"
)
print(f"{len(space):,} crystals; the first is {space[0]}")

# %%
# ``screen`` predicts them in batches and returns the best. The standard deviation of this model is
# calibrated for crystals like its training data.

model = load_pretrained("elpasolites")
best = screen(model, space, k=8, return_std=True)
print(best.round(3).to_string())

# %%
# ``max_std`` leaves out candidates with a larger standard deviation.

surer = screen(model, space, k=8, return_std=True, max_std=0.05)
print(surer.round(3).to_string())

# %%
# All candidates, by the element on site D:

import matplotlib.pyplot as plt

everything = screen(model, space, k=len(space), return_std=True)
_, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for element, rows in everything.groupby("D", sort=False):
    ax.scatter(rows["predicted"], rows["std"], s=8, alpha=0.6, label=element)
ax.axhline(0.05, color="0.4", linewidth=0.8, linestyle="--")
ax.set(
    xlabel="predicted formation energy (eV/atom)",
    ylabel="standard deviation (eV/atom)",
    yscale="log",
    title="Below the line: max_std=0.05",
)
ax.legend(title="site D", frameon=False)
plt.show()

# %%
# Conformal prediction guarantees the share of true values in its intervals. It derives their width
# from the errors on rows that the model has not seen. MAPIE implements it for any regressor
# (``pip install 'sklearn-elmodes[intervals]'``); here for measured enthalpies.

from mapie.regression import SplitConformalRegressor

from sklearn_elmodes import make_formation_energy_pipeline
from sklearn_elmodes.datasets import load_expt_formation_enthalpies

X, y = load_expt_formation_enthalpies(return_X_y=True)
fitted = make_formation_energy_pipeline(pretrained="oqmd", max_iter=5, random_state=0)
fitted.fit(X[::2], y[::2])
intervals = SplitConformalRegressor(fitted, confidence_level=0.9, prefit=True)
intervals.conformalize(X[1::4], y[1::4])
energy, limits = intervals.predict_interval(X[3::4])
inside = (limits[:, 0, 0] <= y[3::4]) & (y[3::4] <= limits[:, 1, 0])
width = (limits[:, 1, 0] - limits[:, 0, 0]).mean()
print(f"{inside.mean():.0%} of {len(inside)} enthalpies lie in their 90% interval", end=", ")
print(f"{width:.2f} eV/atom wide")

# %%
# The guarantee holds for data like those passed to ``conformalize``. With an element held out, 90%
# intervals contained only 40% of the elpasolites with oxygen and 74% of those with chlorine
# (``benchmarks/calibration.py``).
