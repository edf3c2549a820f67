"""
Your own CSV
============

Tables from a laboratory contain typing errors, missing values and further columns. How to find all
invalid rows at once, train on the others, and save the model to a file.
"""

# %%
# The table holds the measured enthalpies, with a number for each sample. Six cells are made invalid
# here on purpose.

from pathlib import Path
from tempfile import TemporaryDirectory

from sklearn_elmodes.datasets import load_expt_formation_enthalpies

folder = TemporaryDirectory()
path = Path(folder.name) / "measured.csv"
table = load_expt_formation_enthalpies(as_frame=True).frame
table.columns = ["formula", "enthalpy"]
table.insert(0, "sample", [f"S{number:04d}" for number in range(len(table))])
table["enthalpy"] = table["enthalpy"].round(4).astype(str)
table.loc[[12, 40, 77, 91], "formula"] = ["Fe2 O3", "CaCO3)", "Nacl", ""]
table.loc[[150, 151], "enthalpy"] = ["", "n/a"]
table.to_csv(path, index=False)

# %%
# The rest works for any CSV file. With ``keep_default_na=False`` pandas keeps text such as ``NaN``,
# which may be a formula. ``to_numeric`` converts the target, with NaN where it is not a number.

import pandas as pd

table = pd.read_csv(path, keep_default_na=False)
table["enthalpy"] = pd.to_numeric(table["enthalpy"], errors="coerce")

# %%
# By default, the first row that cannot be read raises an error with its number and value.
# ``check_rows`` of the pipeline's first step lists all of them with the reasons.

from sklearn_elmodes import make_formation_energy_pipeline

model = make_formation_energy_pipeline(pretrained="oqmd", max_iter=5, random_state=0)
model[0].fit(["NaCl"])
valid, rejected = model[0].check_rows(table["formula"])
with pd.option_context("display.max_colwidth", None):
    print(rejected["reason"].to_string())

# %%
# Train on rows with a valid formula and target, and keep a fifth of them for testing.

from sklearn.model_selection import train_test_split

usable = table.iloc[valid].dropna(subset="enthalpy")
train, test = train_test_split(usable, test_size=0.2, random_state=0)
model.fit(train["formula"], train["enthalpy"])
print(f"{len(usable)} of {len(table)} rows, {len(train)} of them for training")

# %%
# Rows far from the diagonal are worth checking: the error may be in the table.

import matplotlib.pyplot as plt

from sklearn_elmodes.inspection import ParityDisplay

display = ParityDisplay.from_estimator(model, test["formula"], test["enthalpy"])
display.ax_.set_title("Test rows")
plt.show()

off = test.assign(predicted=model.predict(test["formula"]).round(3))
off = off.assign(difference=(off["predicted"] - off["enthalpy"]).abs())
print(off.nlargest(4, "difference").round(3).to_string(index=False))

# %%
# A fitted pipeline is saved to one file, without pickle, together with a card that describes it.

from sklearn_elmodes import load_model, save_model

file = Path(folder.name) / "measured.safetensors"
save_model(model, file, card="Measured formation enthalpies in eV/atom, fine-tuned from oqmd.")
again = load_model(file)
print(again.model_card_)
print(f"{file.stat().st_size / 1e6:.1f} MB")

# %%
# Add two columns to a table of new samples. In the shell, ``elmodes predict measured.safetensors
# --input new.csv`` does the same.

new = pd.DataFrame({"sample": ["N1", "N2", "N3"], "formula": ["Na2MgCl4", "LiFeO2", "Ba3YCl9"]})
new["predicted"], new["std"] = again.predict(new["formula"], return_std=True)
print(new.round(3).to_string(index=False))
folder.cleanup()
