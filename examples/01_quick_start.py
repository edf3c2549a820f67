"""
Quick start
===========

From a column of formulas to formation energies and their standard deviation.
"""

# %%
# The data are 2,135 measured formation enthalpies from pymatgen, which is installed already:
# nothing is downloaded.

from sklearn.model_selection import train_test_split

from sklearn_elmodes.datasets import load_expt_formation_enthalpies

X, y = load_expt_formation_enthalpies(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
print(X_train[:4], y_train[:4].round(2), "eV/atom")

# %%
# The pipeline has two steps. The first describes a formula by the elemental modes and amounts of
# its elements, the second is a small ensemble of networks. Here training starts from the included
# general model of computed energies (fine-tuning), so ten epochs are enough.

from sklearn_elmodes import make_formation_energy_pipeline

model = make_formation_energy_pipeline(pretrained="oqmd", max_iter=10, random_state=0)
model.fit(X_train, y_train)
print(list(model.named_steps))

# %%
# It predicts like any scikit-learn regressor. ``return_std=True`` adds the standard deviation over
# the ensemble. It is too small to be an error bar, but grows where the networks disagree.

energy, std = model.predict(["NaCl", "Fe2O3", "Ca(OH)2"], return_std=True)
print(energy.round(2), std.round(2))

# %%
# The package also includes a model for crystals of one structure: elpasolites, such as
# K\ :sub:`2`\ NaAlF\ :sub:`6`. It takes formulas, or the element of each site; a mixed site lists
# its elements with their shares.

from sklearn_elmodes import load_pretrained

elpasolites = load_pretrained("elpasolites")
print(elpasolites.predict(["K2NaAlF6"]).round(3))
print(elpasolites.predict([["Na", "Al", "K", "F"], ["Na0.5Li0.5", "Al", "K", "F"]]).round(3))

# %%
# How accurate is the first model on formulas that it was not trained on?

import matplotlib.pyplot as plt

from sklearn_elmodes.inspection import ParityDisplay

display = ParityDisplay.from_estimator(model, X_test, y_test)
display.ax_.set_title("Measured enthalpies, test rows")
plt.show()
