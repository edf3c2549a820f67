"""
A formula and a temperature
===========================

``ColumnTransformer`` turns the column of formulas into modes and passes the other columns through.
"""

# %%
# pymatgen contains the Gibbs energies of the elements from 300 to 2,000 K, relative to their
# enthalpy at room temperature (for the model of Bartel et al., Nat. Commun. 9, 4168, 2018). The
# table has one row for each element and temperature.

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
# The modes of the element are the columns ``mean_mode1`` and so on; the temperature is passed
# through. Any regressor may follow, here kernel ridge regression.

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
# Each element has 18 similar rows. To test the model on unseen elements, hold out all rows of an
# element together: ``GroupKFold`` with the formula as the group. The same model without the formula
# shows how much the modes contribute.

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
# Predictions (lines) and data (points) for elements held out of training:

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
# The elements with the largest mean errors:

errors = (table["modes and temperature"] - y).abs().groupby(X["formula"]).mean()
print(errors.nlargest(6).round(2).to_dict())
