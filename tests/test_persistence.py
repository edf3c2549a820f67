import json
import os

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sklearn_elmodes import (
    ElementalModeTransformer,
    ElementAutoencoder,
    load_model,
    load_pretrained,
    make_formation_energy_pipeline,
    save_model,
)
from sklearn_elmodes.elements import property_table

# What the shipped model predicted when it was made, eV/atom.
PINNED = [-2.868371, -1.548688, 0.411970]

SMALL = {"n_estimators": 2, "hidden_layer_sizes": (8, 8), "max_iter": 2, "random_state": 0}


def pipelines():
    own = make_formation_energy_pipeline(**SMALL).set_params(
        elementalmodetransformer__properties=property_table("extended").iloc[:, :12],
        elementalmodetransformer__n_components=3,
        elementalmodetransformer__autoencoder=ElementAutoencoder(max_iter=10, random_state=0),
    )
    sites = make_formation_energy_pipeline("ABC2D6", **SMALL)
    double = make_formation_energy_pipeline(**SMALL)
    double.set_params(elementalmodetransformer__dtype="float64")
    return {
        "pooled": make_formation_energy_pipeline(**SMALL),
        "own": own,
        "sites": sites,
        "double": double,
    }


X = ["K2NaAlF6", "Cs2NaBiCl6", "Rb2LiInBr6", "K2LiGaO6"]
Y = [-3.0, -1.9, -1.5, -0.5]


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(make_formation_energy_pipeline("ABC2D6", **SMALL).fit(X, Y), path, card="A card.")
    return path


@pytest.mark.parametrize("name", ["pooled", "own", "sites", "double"])
def test_a_loaded_model_is_the_saved_one(name, tmp_path):
    model = pipelines()[name]
    frame = pd.DataFrame({"formula": X})
    model.fit(frame, Y)
    save_model(model, tmp_path / "model.safetensors", card="A card.")
    loaded = load_model(tmp_path / "model.safetensors")
    for found, expected in zip(
        loaded.predict(frame, return_std=True), model.predict(frame, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    assert loaded.model_card_ == "A card."
    assert loaded[-1].get_params() == {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in model[-1].get_params().items()
    }
    np.testing.assert_array_equal(
        loaded[0].get_feature_names_out(), model[0].get_feature_names_out()
    )
    loaded.fit(frame, Y)  # a loaded model can be trained anew


def test_only_our_pipelines_are_written(tmp_path):
    pipeline = make_pipeline(ElementalModeTransformer(), Ridge()).fit(X, Y)
    with pytest.raises(ValueError, match="Step 'ridge' is a Ridge; a model file holds only"):
        save_model(pipeline, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="Expected a fitted Pipeline, got a Ridge"):
        save_model(Ridge(), tmp_path / "model.safetensors")
    seeded = make_formation_energy_pipeline(**{**SMALL, "random_state": np.random.RandomState(0)})
    with pytest.raises(ValueError, match="cannot be written"):
        save_model(seeded.fit(X, Y), tmp_path / "model.safetensors")
    assert os.listdir(tmp_path) == []


def test_numpy_parameters_and_set_output_are_kept(tmp_path):
    model = make_formation_energy_pipeline(**{**SMALL, "max_iter": np.int64(2)})
    model.set_params(formationenergyregressor__hidden_layer_sizes=np.array([8, 8]))
    model.set_output(transform="pandas").fit(pd.Series(X), Y)
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert isinstance(loaded[:-1].transform(X), pd.DataFrame)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded[0].autoencoder_ is None


def test_a_failed_write_leaves_the_old_file(model_file, monkeypatch):
    before = model_file.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *a: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        save_model(load_model(model_file), model_file)
    monkeypatch.undo()
    assert model_file.read_bytes() == before
    assert os.listdir(model_file.parent) == [model_file.name]


def rewrite(path, change):
    with safe_open(str(path), framework="numpy") as file:
        header = json.loads(file.metadata()["sklearn_elmodes"])
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    change(header, arrays)
    save_file(arrays, str(path), metadata={"sklearn_elmodes": json.dumps(header)})


def wrong_shape(header, arrays):
    arrays["formationenergyregressor.joint.0.0.weight"] = np.zeros((2, 3, 8), "f4")


def huge_layer(header, arrays):
    header["steps"][1]["parameters"]["hidden_layer_sizes"] = [10**9, 10**9]


def gap(header, arrays):
    arrays["formationenergyregressor.joint.0.0.bias"][:] = np.nan


def newer(header, arrays):
    header["schema_version"] = 2


def other_class(header, arrays):
    header["steps"][1]["class"] = "os.system"


def unknown_parameter(header, arrays):
    header["steps"][1]["parameters"]["evil"] = 1


def missing_parameter(header, arrays):
    del header["steps"][1]["parameters"]["encoder_activation"]


def missing_weight(header, arrays):
    del arrays["formationenergyregressor.joint.0.0.bias"]


def no_scale(header, arrays):
    header["steps"][1]["target"] = [0.0, None]


def no_steps(header, arrays):
    header["steps"] = []


def other_equivalence(header, arrays):
    header["steps"][1]["parameters"]["equivalent_sites"] = [[0, 99]]


def wrong_modes(header, arrays):
    arrays["elementalmodetransformer.modes"] = np.zeros((3, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wrong_shape, "do not have the shapes"),
        (huge_layer, "do not have the shapes"),
        (gap, "not finite"),
        (newer, "schema version 2"),
        (other_class, "does not describe a model"),
        (unknown_parameter, "does not describe a model"),
        (missing_parameter, "other parameters: .'encoder_activation'"),
        (missing_weight, "do not have the shapes"),
        (no_scale, "does not describe a model"),
        (no_steps, "does not describe a model"),
        (other_equivalence, "does not describe a model"),
        (wrong_modes, "does not describe a model"),
    ],
)
def test_doctored_files_are_refused(model_file, change, message):
    rewrite(model_file, change)
    with pytest.raises(ValueError, match=message):
        load_model(model_file)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 100, b"\x80\x04."])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no model file, or is damaged"):
        load_model(path)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none")


def test_truncated_files_are_refused(model_file):
    model_file.write_bytes(model_file.read_bytes()[:-10])
    with pytest.raises(ValueError, match="is damaged"):
        load_model(model_file)


def test_shipped_model_predicts_what_it_predicted():
    model = load_pretrained("elpasolites")
    formulas = ["K2NaAlF6", "Cs2NaBiCl6", "Ne2NaAlXe6"]
    energy, spread = model.predict(formulas, return_std=True)
    np.testing.assert_allclose(energy, PINNED, atol=2e-4)
    assert (spread > 0).all()
    assert "10,590" in model.model_card_
    np.testing.assert_array_equal(
        model.predict([["Al", "Na", "K", "F"], ["Na", "Al", "K", "F"]])[0], energy[0]
    )


def test_shipped_model_fits_its_training_data(elpasolites):
    X, y = elpasolites
    assert np.abs(load_pretrained("elpasolites").predict(X) - y).mean() < 0.02


def test_unknown_name():
    with pytest.raises(ValueError, match="No model 'oqmd' ships; choose one of elpasolites"):
        load_pretrained("oqmd")
