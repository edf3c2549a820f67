"""
Your own CSV
============

A table from a laboratory has typing errors, missing values and columns of its own. How to find all
bad rows at once, train on the rest, and keep the model in a file.
"""

# %%
# The table is that of the measured enthalpies, with a number for each sample. To have something
# to find, six of its cells are spoiled here on purpose.

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
# From here on it is any CSV. ``keep_default_na=False`` keeps pandas from taking text such as
# ``NaN`` for a gap; numbers are made of the target in a second step, with NaN for what is none.

import pandas as pd

table = pd.read_csv(path, keep_default_na=False)
table["enthalpy"] = pd.to_numeric(table["enthalpy"], errors="coerce")

# %%
# By default the first row that cannot be read is an error with its number and value.
# ``check_rows`` of the pipeline's first step finds all of them, each with its reason.

from sklearn_elmodes import make_formation_energy_pipeline

model = make_formation_energy_pipeline(pretrained="oqmd", max_iter=5, random_state=0)
model[0].fit(["NaCl"])
valid, rejected = model[0].check_rows(table["formula"])
with pd.option_context("display.max_colwidth", None):
    print(rejected["reason"].to_string())

# %%
# Train on rows that have a formula and a target, and keep a fifth of them to test.

from sklearn.model_selection import train_test_split

usable = table.iloc[valid].dropna(subset="enthalpy")
train, test = train_test_split(usable, test_size=0.2, random_state=0)
model.fit(train["formula"], train["enthalpy"])
print(f"{len(usable)} of {len(table)} rows, {len(train)} of them to train")

# %%
# Rows far from the diagonal, where the model is sure of itself, are worth a second look: the
# table may be wrong as well.

import matplotlib.pyplot as plt

from sklearn_elmodes.inspection import ParityDisplay

display = ParityDisplay.from_estimator(model, test["formula"], test["enthalpy"])
display.ax_.set_title("Rows not trained on")
plt.show()

off = test.assign(predicted=model.predict(test["formula"]).round(3))
off = off.assign(difference=(off["predicted"] - off["enthalpy"]).abs())
print(off.nlargest(4, "difference").round(3).to_string(index=False))

# %%
# A fitted pipeline goes into one file, without pickle, with a card that says what it is. It
# predicts the same wherever it is loaded.

from sklearn_elmodes import load_model, save_model

file = Path(folder.name) / "measured.safetensors"
save_model(model, file, card="Measured formation enthalpies in eV/atom, fine-tuned from oqmd.")
again = load_model(file)
print(again.model_card_)
print(f"{file.stat().st_size / 1e6:.1f} MB")

# %%
# New samples keep their columns and get two more. From the shell: ``elmodes predict
# measured.safetensors --input new.csv``.

new = pd.DataFrame({"sample": ["N1", "N2", "N3"], "formula": ["Na2MgCl4", "LiFeO2", "Ba3YCl9"]})
new["predicted"], new["std"] = again.predict(new["formula"], return_std=True)
print(new.round(3).to_string(index=False))
folder.cleanup()
