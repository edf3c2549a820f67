"""
Quick start
===========

From a column of formulas to formation energies with their std, and a look at what ships.
"""

# %%
# The data are 2,135 measured formation enthalpies, which come with pymatgen: nothing is
# downloaded.

from sklearn.model_selection import train_test_split

from sklearn_elmodes.datasets import load_expt_formation_enthalpies

X, y = load_expt_formation_enthalpies(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
print(X_train[:4], y_train[:4].round(2), "eV/atom")

# %%
# The pipeline has two steps. The first one writes a formula as the elemental modes and amounts of
# its elements, the second one is a small ensemble of networks. It starts here from the general
# model that ships, trained on computed energies, so that ten passes over the data are enough.

from sklearn_elmodes import make_formation_energy_pipeline

model = make_formation_energy_pipeline(pretrained="oqmd", max_iter=10, random_state=0)
model.fit(X_train, y_train)
print(list(model.named_steps))

# %%
# It predicts as any regressor of scikit-learn does. ``return_std=True`` adds the spread over the
# ensemble, which tells the sure predictions from the unsure ones.

energy, std = model.predict(["NaCl", "Fe2O3", "Ca(OH)2"], return_std=True)
print(energy.round(2), std.round(2))

# %%
# A model for crystals of one structure ships as well: elpasolites A\ :sub:`2`\ BCD\ :sub:`6`,
# such as K\ :sub:`2`\ NaAlF\ :sub:`6`. It takes formulas or the elements site by site, and each
# element of a mixed site with its share.

from sklearn_elmodes import load_pretrained

elpasolites = load_pretrained("elpasolites")
print(elpasolites.predict(["K2NaAlF6"]).round(3))
print(elpasolites.predict([["Na", "Al", "K", "F"], ["Na0.5Li0.5", "Al", "K", "F"]]).round(3))

# %%
# How good are the energies of the first model on formulas that it has not seen?

import matplotlib.pyplot as plt

from sklearn_elmodes.inspection import ParityDisplay

display = ParityDisplay.from_estimator(model, X_test, y_test)
display.ax_.set_title("Measured enthalpies, rows not trained on")
plt.show()
