"""
Modes from your own property table
==================================

The included modes compress 25 properties of free atoms and elements. Any other table can be
compressed in the same way: here elasticity, density and conductivity of the solid elements.
"""

# %%
# pymatgen contains measured properties of the elements. Missing values are NaN: the modes of an
# element are computed from its known properties.

import numpy as np
import pandas as pd
from pymatgen.core import Element

columns = {
    "Bulk modulus": "log10_bulk_modulus_gpa",
    "Rigidity modulus": "log10_shear_modulus_gpa",
    "Velocity of sound": "log10_speed_of_sound_m_s",
    "Coefficient of linear thermal expansion": "log10_thermal_expansion_1_k",
    "Thermal conductivity": "log10_thermal_conductivity_w_m_k",
    "Electrical resistivity": "log10_resistivity_ohm_m",
    "Density of solid": "log10_density_kg_m3",
    "Melting point": "log10_melting_point_k",
}
values = {e.symbol: [e.data.get(name) for name in columns] for e in Element}
table = pd.DataFrame.from_dict(values, orient="index", columns=list(columns.values()))
table = np.log10(table.apply(pd.to_numeric, errors="coerce"))
table = table[table.notna().sum(axis=1) >= 6]
print(f"{len(table)} elements, {table.isna().sum().sum()} gaps in {table.size} values")

# %%
# Learn three modes of these eight columns, which takes a second or two. How well are the properties
# reconstructed from three numbers?

from sklearn_elmodes import ElementalModeTransformer
from sklearn_elmodes.inspection import nearest_elements, reconstruction_r2

transformer = ElementalModeTransformer(3, properties=table).fit(table.index.tolist())
restored = transformer.autoencoder_.inverse_transform(transformer.modes_.to_numpy())
print(pd.Series(reconstruction_r2(table, restored), name="R²").round(2).to_string())

# %%
# The reconstruction also fills the gaps. These values are rough estimates:

filled = pd.DataFrame(restored, table.index, table.columns)
gaps = table["log10_bulk_modulus_gpa"].isna()
print((10 ** filled.loc[gaps, "log10_bulk_modulus_gpa"]).round(0).rename("bulk modulus (GPa)"))

# %%
# The modes are ordered by variance. Elements with similar properties in this table are close:

for symbol in ("W", "Cu", "K"):
    print(symbol, *nearest_elements(transformer.modes_, symbol)[:5])

# %%
# The first mode in the periodic table; elements without data are hatched.

import matplotlib.pyplot as plt

from sklearn_elmodes.inspection import ModeMapDisplay, PeriodicTableDisplay

PeriodicTableDisplay.from_estimator(transformer, mode=1)
plt.show()

# %%
# A map of the first two modes.

ModeMapDisplay.from_estimator(transformer, pair=(1, 2))
plt.show()

# %%
# To use these modes in a model:
# ``make_pipeline(ElementalModeTransformer(3, properties=table), …)``. The auto-encoder is then
# trained in each fold of a cross-validation, unless the pipeline has a ``memory``.
