"""
A formula and a temperature
===========================

``ColumnTransformer`` takes modes from the column of formulas, and leaves the other columns as they
are.
"""

# %%
# Gibbs energies of the elements from 300 to 2,000 K, relative to their enthalpy at room
# temperature, come with pymatgen (they serve the model of Bartel et al., Nat. Commun. 9, 4168,
# 2018). One row for each element and temperature.

import pandas as pd

try:
    from pymatgen.analysis.compatibility.computed_entries import G_ELEMS
except ImportError:  # releases before 2026
    from pymatgen.entries.computed_entries import G_ELEMS

table = pd.DataFrame(G_ELEMS).rename_axis("formula").reset_index()
table = table.melt("formula", var_name="temperature", value_name="gibbs_energy")
table["temperature"] = table["temperature"].astype(float)
print(table.sample(4, random_state=0))

# %%
# The modes of the element stand in ``mean_mode1`` and so on; the temperature passes through. What
# follows may be any regressor, here a kernel ridge regression of scikit-learn.

from sklearn.compose import make_column_transformer
from sklearn.kernel_ridge import KernelRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_elmodes import ElementalModeTransformer

columns = make_column_transformer((ElementalModeTransformer(), "formula"), remainder="passthrough")
ridge = KernelRidge(kernel="laplacian", gamma=0.005, alpha=0.001)
model = make_pipeline(columns, StandardScaler(), ridge)
print(columns.fit_transform(table).shape, columns.get_feature_names_out()[[0, -2]])

# %%
# An element has 18 rows, which are much alike. To ask for an element that was never seen, hold
# out all of its rows: ``GroupKFold``, with the formula as the group. The same model without the
# formula tells what the modes are worth.

from sklearn.model_selection import GroupKFold, cross_val_predict

X, y = table[["formula", "temperature"]], table["gibbs_energy"]
models = {
    "temperature alone": make_pipeline(StandardScaler(), ridge),
    "modes and temperature": model,
}
inputs = {"temperature alone": X[["temperature"]], "modes and temperature": X}
for name in models:
    table[name] = cross_val_predict(
        models[name], inputs[name], y, groups=X["formula"], cv=GroupKFold(5)
    )
    print(f"{name}: error {(table[name] - y).abs().mean():.3f} eV/atom")

# %%
# Elements that the model never saw: lines are its predictions, points the data.

import matplotlib.pyplot as plt

_, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
for symbol in ("Na", "Zn", "Si", "Fe", "W"):
    rows = table[table["formula"] == symbol]
    (line,) = ax.plot(rows["temperature"], rows["modes and temperature"], label=symbol)
    ax.plot(rows["temperature"], rows["gibbs_energy"], ".", color=line.get_color())
ax.set(xlabel="temperature (K)", ylabel="Gibbs energy (eV/atom)")
ax.legend(frameon=False)
plt.show()

# %%
# And where it is wrong: the largest mean errors, of elements unlike most others.

errors = (table["modes and temperature"] - y).abs().groupby(X["formula"]).mean()
print(errors.nlargest(6).round(2).to_dict())
