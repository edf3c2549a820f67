"""
Modes from your own property table
==================================

The modes that ship compress 25 properties of free atoms and elements. A frame of other properties
gives other modes: here how stiff, dense and conductive the solid elements are.
"""

# %%
# pymatgen lists measured properties of the elements. Gaps stay NaN: an element with gaps gets
# modes from what is known of it.

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
# Three modes of these eight columns, learnt in a second or two. How much of each property comes
# back from three numbers?

from sklearn_elmodes import ElementalModeTransformer
from sklearn_elmodes.inspection import nearest_elements, reconstruction_r2

transformer = ElementalModeTransformer(3, properties=table).fit(table.index.tolist())
restored = transformer.autoencoder_.inverse_transform(transformer.modes_.to_numpy())
print(pd.Series(reconstruction_r2(table, restored), name="R²").round(2).to_string())

# %%
# It also reads gaps off the modes. These values are guesses, to be taken as such:

filled = pd.DataFrame(restored, table.index, table.columns)
gaps = table["log10_bulk_modulus_gpa"].isna()
print((10 ** filled.loc[gaps, "log10_bulk_modulus_gpa"]).round(0).rename("bulk modulus (GPa)"))

# %%
# The modes are ordered and scaled, the first one varies most. Like is near like, in this table's
# sense of alike:

for symbol in ("W", "Cu", "K"):
    print(symbol, *nearest_elements(transformer.modes_, symbol)[:5])

# %%
# A mode in the periodic table, hatched where nothing is known.

import matplotlib.pyplot as plt

from sklearn_elmodes.inspection import ModeMapDisplay, PeriodicTableDisplay

PeriodicTableDisplay.from_estimator(transformer, mode=1)
plt.show()

# %%
# Two modes as a map.

ModeMapDisplay.from_estimator(transformer, pair=(1, 2))
plt.show()

# %%
# In a model such a transformer is a step like any other:
# ``make_pipeline(ElementalModeTransformer(3, properties=table), …)``. It is fitted again for each
# fold of a cross-validation; a ``memory`` of the pipeline spares that.
