import base64
import io
import json
import os
import pickle
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from sklearn_elmodes import (
    ElementalModeClassifier,
    ElementalModeTransformer,
    ElementAutoencoder,
    _model_files,
    load_model,
    load_pretrained,
    make_formation_energy_pipeline,
    save_model,
)
from sklearn_elmodes._files import write_atomically
from sklearn_elmodes.elements import property_table

# What the shipped model predicted when it was made, eV/atom.
PINNED = [-2.868371, -1.548688, 0.411970]
# What the stored files predicted when they were made, by schema: formulas, mean and std, eV/atom.
STORED = {
    1: (["K2NaAlF6", "Cs2NaBiCl6"], [-1.269267, -0.733969], [0.079333, 0.032326]),
    2: (["K2NaAlF6", "Cs2NaBiCl6"], [-0.532617, -0.259740], [0.564532, 0.564336]),
    3: (["NaCl", "Fe2O3"], [-1.832993, -1.659238], [0.312653, 0.282675]),
    4: (["NaCl", "Fe2O3"], [-1.950114, -1.652260], [0.234118, 0.175918]),
}

SMALL = {"n_estimators": 2, "hidden_layer_sizes": (8, 8), "max_iter": 2, "random_state": 0}


def pipelines():
    own = make_formation_energy_pipeline(pooling="statistics", **SMALL).set_params(
        elementalmodetransformer__properties=property_table("extended").iloc[:, :12],
        elementalmodetransformer__n_components=3,
        elementalmodetransformer__autoencoder=ElementAutoencoder(max_iter=10, random_state=0),
    )
    sites = make_formation_energy_pipeline("elpasolite", **SMALL)
    double = make_formation_energy_pipeline(pooling="statistics", **SMALL)
    double.set_params(elementalmodetransformer__dtype="float64")
    return {
        "statistics": make_formation_energy_pipeline(pooling="statistics", **SMALL),
        "set": make_formation_energy_pipeline(**SMALL),
        "own": own,
        "sites": sites,
        "double": double,
    }


DATA = Path(__file__).parent / "data"
X = ["K2NaAlF6", "Cs2NaBiCl6", "Rb2LiInBr6", "K2LiGaO6"]
Y = [-3.0, -1.9, -1.5, -0.5]


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(
        make_formation_energy_pipeline("elpasolite", **SMALL).fit(X, Y), path, card="A card."
    )
    return path


@pytest.mark.parametrize("name", ["statistics", "set", "own", "sites", "double"])
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
    with pytest.raises(ValueError, match="Step 'ridge' is a Ridge; a model file can contain only"):
        save_model(pipeline, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="pipeline must be a fitted Pipeline, not a Ridge"):
        save_model(Ridge(), tmp_path / "model.safetensors")
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
    text = json.dumps(header)
    metadata = {"sklearn_elmodes": text, "sha256": _model_files.checksum(text, arrays)}
    save_file(arrays, str(path), metadata=metadata)


def wrong_shape(header, arrays):
    arrays["1.joint.0.0.weight"] = np.zeros((2, 3, 8), "f4")


def huge_layer(header, arrays):
    header["steps"][1]["parameters"]["hidden_layer_sizes"] = [10**9, 10**9]


def gap(header, arrays):
    arrays["1.joint.0.0.bias"][:] = np.nan


def newer(header, arrays):
    header["schema_version"] = 6


def other_class(header, arrays):
    header["steps"][1]["class"] = "os.system"


def unknown_parameter(header, arrays):
    header["steps"][1]["parameters"]["evil"] = 1


def missing_parameter(header, arrays):
    del header["steps"][1]["parameters"]["encoder_activation"]


def missing_weight(header, arrays):
    del arrays["1.joint.0.0.bias"]


def no_scale(header, arrays):
    header["steps"][1]["target"] = [0.0, None]


def no_steps(header, arrays):
    header["steps"] = []


def other_equivalence(header, arrays):
    header["steps"][1]["parameters"]["equivalent_sites"] = [[0, 99]]


def wrong_modes(header, arrays):
    arrays["0.modes"] = np.zeros((3, 2))


def countless_modes(header, arrays):
    header["steps"][0]["parameters"]["n_components"] = 10**12


def countless_layers(header, arrays):
    header["steps"][1]["parameters"]["hidden_layer_sizes"] = [1] * 10**6


def countless_sites(header, arrays):
    header["steps"][1]["n_features_in"] = header["steps"][1]["parameters"]["n_sites"] = 10**12


def countless_orders(header, arrays):
    header["steps"][1]["parameters"]["equivalent_sites"] = [[0, 1, 2, 3] * 10**5]


def traversal(header, arrays):
    arrays["../../../etc/passwd"] = np.zeros(1)


def names_of_steps(header, arrays):
    header["steps"][0]["name"] = {"__reduce__": "os.system"}


def same_names(header, arrays):
    header["steps"][0]["name"] = header["steps"][1]["name"]


def no_card(header, arrays):
    header["card"] = ["rm -rf"]


def no_versions(header, arrays):
    header["versions"] = ["torch"]


def strange_output(header, arrays):
    header["steps"][0]["set_output"] = {"transform": "os.system"}


def strange_columns(header, arrays):
    header["steps"][0]["feature_names_in"] = [1, {}]


def infinite_setting(header, arrays):
    header["steps"][1]["parameters"]["alpha"] = float("inf")


def endless_modes(header, arrays):
    header["steps"][0]["elements"] = []
    header["steps"][0]["parameters"]["n_components"] = 10**12
    arrays["0.modes"] = np.zeros((0, 10**12))


def doubled_elements(header, arrays):
    header["steps"][0]["elements"][1] = header["steps"][0]["elements"][0]


def overflowing_weights(header, arrays):
    for name in arrays:
        if name.startswith("1."):
            arrays[name] = arrays[name].astype(np.float64) * 1e100


def no_std(header, arrays):
    header["steps"][1]["target"] = [0.0, 0.0]


def negative_std(header, arrays):
    header["steps"][1]["std"] = [-1.0, 1.0]


def endless_std(header, arrays):
    header["steps"][1]["std"] = [0.0, 1e400]


def true_schema(header, arrays):
    header["schema_version"] = True


def other_number(header, arrays):
    arrays["7.weight"] = np.zeros(1)


def integer_weights(header, arrays):
    name = "1.joint.0.0.bias"
    arrays[name] = arrays[name].astype(np.int64)


def endless_room(header, arrays):
    header["steps"][0]["parameters"]["max_elements"] = 10**9


def odd_training(header, arrays):
    parameters = header["steps"][1]["parameters"]
    parameters["batch_size"], header["steps"][1]["training"]["batch_size"] = "auto", -1


def odd_source(header, arrays):
    header["steps"][1]["parameters"]["pretrained"] = {"evil": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (endless_room, "'max_elements' parameter"),
        (odd_training, "the training setting batch_size is -1"),
        (odd_source, "which is not an included model"),
        (wrong_shape, "the shapes of the weights do not match"),
        (huge_layer, "the shapes of the weights do not match"),
        (gap, "not finite"),
        (newer, "schema version 6"),
        (other_class, "does not contain a valid model"),
        (unknown_parameter, "does not contain a valid model"),
        (missing_parameter, "other parameters: .'encoder_activation'"),
        (missing_weight, "the shapes of the weights do not match"),
        (no_scale, "does not contain a valid model"),
        (no_steps, "does not contain a valid model"),
        (other_equivalence, "does not contain a valid model"),
        (wrong_modes, "do not have the shapes of their tables"),
        (countless_modes, "do not have the shapes of their tables"),
        (countless_layers, "more layers or features than the weights"),
        (countless_sites, "more than 1000 sites"),
        (countless_orders, "each site in one set at most"),
        (traversal, "the array '../../../etc/passwd' belongs to no step"),
        (names_of_steps, "must be strings"),
        (same_names, "its steps are missing or have duplicate names"),
        (no_card, "must be strings"),
        (no_versions, "does not contain a valid model"),
        (strange_output, "unknown output"),
        (strange_columns, "must be strings"),
        (infinite_setting, "does not contain a valid model"),
        (integer_weights, "not finite numbers"),
        (endless_modes, "it has no elements, or one of them twice"),
        (doubled_elements, "it has no elements, or one of them twice"),
        (overflowing_weights, "the weights are not of type float32"),
        (no_std, "no finite mean and scale"),
        (negative_std, "the std has no finite floor and scale"),
        (endless_std, "does not contain a valid model"),
        (true_schema, "schema version True"),
        (other_number, "the array '7.weight' belongs to no step"),
    ],
)
def test_doctored_files_are_refused(model_file, change, message):
    rewrite(model_file, change)
    with pytest.raises(ValueError, match=message):
        load_model(model_file)


@pytest.mark.parametrize(
    "classes",
    [["b", "a", "c"], ["a", "a", "b"], ["a", 1, 2.0], ["a"], [1, None], "abc", [[1], [2]]],
)
def test_doctored_classes_are_refused(classes, tmp_path):
    model = make_pipeline(ElementalModeTransformer(), ElementalModeClassifier(**SMALL))
    path = tmp_path / "model.safetensors"
    save_model(model.fit(X, list("abca")), path)

    def change(header, arrays):
        header["steps"][1]["classes"] = classes

    rewrite(path, change)
    with pytest.raises(ValueError, match="does not contain a valid model"):
        load_model(path)


def test_other_types_of_numbers_are_refused(tmp_path):
    header = {"a": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}
    text = json.dumps({"__metadata__": {"sklearn_elmodes": "{}"}, **header}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\x00")
    with pytest.raises(ValueError, match="is not a sklearn-elmodes model file, or is corrupted"):
        load_model(path)


def test_predictions_that_overflow_are_an_error(model_file):
    def large(header, arrays):
        for name in arrays:
            if name.startswith("1."):
                arrays[name] = np.full_like(arrays[name], 3e38)

    rewrite(model_file, large)
    with pytest.raises(ValueError, match="The prediction of row 0 is not a finite number"):
        load_model(model_file).predict(X)


def test_what_could_not_be_read_again_is_not_written(model_file):
    before, model = model_file.read_bytes(), load_model(model_file)
    with pytest.raises(ValueError, match="must be strings"):
        save_model(model, model_file, card=None)
    model[-1].set_params(hidden_layer_sizes=(9, 9))
    with pytest.raises(ValueError, match="the shapes of the weights do not match"):
        save_model(model, model_file)
    assert model_file.read_bytes() == before
    assert os.listdir(model_file.parent) == [model_file.name]


def test_names_with_points_are_kept_apart(tmp_path):
    model = make_formation_energy_pipeline(pooling="statistics", **SMALL)
    model.steps = [
        (name, step) for name, (_, step) in zip(("a", "a.b", "a.b.c"), model.steps, strict=True)
    ]
    model.fit(X, Y)
    save_model(model, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(
        load_model(tmp_path / "model.safetensors").predict(X), model.predict(X)
    )


def test_writing_follows_links_and_leaves_pipes(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    read = []
    reader.start()
    write_atomically(tmp_path / "pipe", b"through")
    reader.join()
    assert read == [b"through"]
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 100, b"\x80\x04."])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a sklearn-elmodes model file, or is corrupted"):
        load_model(path)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none")


def test_truncated_files_are_refused(model_file):
    content = model_file.read_bytes()
    for length in [*range(0, len(content), 997), len(content) - 1]:
        model_file.write_bytes(content[:length])
        with pytest.raises(ValueError, match="is corrupted"):
            load_model(model_file)


def test_flipped_bits_are_found(model_file):
    content = model_file.read_bytes()
    random_state = np.random.RandomState(0)
    header = 8 + int.from_bytes(content[:8], "little")
    places = [*range(16), *random_state.randint(header, size=150)]
    places += [*random_state.randint(header, len(content), size=50)]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << random_state.randint(8)
        model_file.write_bytes(flipped)
        with pytest.raises(ValueError, match="is corrupted"):
            load_model(model_file)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def hostile_files(folder):
    """Return contents that would run, or swell, if they were taken for what they claim."""
    payload = Payload(str(folder / "owned"))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../schema.json", b" " * 10**8)
    archived = io.BytesIO()
    torch.save({"weight": payload}, archived)

    def safetensors(header):
        header = json.dumps(header).encode()
        return len(header).to_bytes(8, "little") + header

    huge = {"dtype": "F64", "shape": [10**6, 10**6], "data_offsets": [0, 8 * 10**12]}
    return {
        "pickle": pickle.dumps(payload),
        "torch": archived.getvalue(),
        "zip bomb": bomb.getvalue(),
        "huge header": (2**62).to_bytes(8, "little") + b"{}",
        "huge array": safetensors({"steps.weight": huge}),
        "deep header": safetensors({"__metadata__": {"sklearn_elmodes": "[" * 10**6}}),
        "no header": safetensors({"__metadata__": {"sklearn_elmodes": "null"}}),
        "other file": safetensors({}),
        "payload as text": safetensors(
            {"__metadata__": {"sklearn_elmodes": base64.b64encode(pickle.dumps(payload)).decode()}}
        ),
    }


def test_nothing_in_a_hostile_file_is_executed(tmp_path):
    path = tmp_path / "model.safetensors"
    for name, content in hostile_files(tmp_path).items():
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match="is not a sklearn-elmodes model file, or is corrupted"
        ):
            load_model(path)
        assert os.listdir(tmp_path) == [path.name], name


def test_a_deeply_nested_header_is_refused(model_file):
    with safe_open(str(model_file), framework="numpy") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    text = "[" * 10**5 + "]" * 10**5
    metadata = {"sklearn_elmodes": text, "sha256": _model_files.checksum(text, arrays)}
    save_file(arrays, str(model_file), metadata=metadata)
    with pytest.raises(ValueError, match="is not a sklearn-elmodes model file"):
        load_model(model_file)


def test_a_full_disk_leaves_the_old_file(model_file):
    before = model_file.read_bytes()
    code = """
import resource, signal, sys
from sklearn_elmodes import load_model, save_model
model = load_model(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    save_model(model, sys.argv[1], card="new")
except OSError as error:
    print("OSError", error)
"""
    command = [sys.executable, "-c", code, str(model_file)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("OSError")
    assert model_file.read_bytes() == before
    assert os.listdir(model_file.parent) == [model_file.name]


@pytest.mark.parametrize(
    "scaler",
    [
        "passthrough",
        MinMaxScaler(feature_range=(-1, 1)),
        MaxAbsScaler(),
        RobustScaler(quantile_range=(10, 90)),
        StandardScaler(with_mean=False),
        StandardScaler(with_mean=False, with_std=False),
    ],
)
def test_scalers_of_scikit_learn_are_kept(scaler, tmp_path):
    model = make_formation_energy_pipeline(pooling="statistics", **SMALL)
    model.steps[1] = ("scaler", scaler)
    model.fit(X, Y)
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    if scaler != "passthrough":
        assert type(loaded[1]) is type(scaler)
        assert vars(loaded[1]).keys() == vars(model[1]).keys()
        np.testing.assert_array_equal(loaded[:-1].transform(X), model[:-1].transform(X))


def test_a_model_trained_on_a_gpu_loads_on_a_cpu(model_file):
    def trained_on_gpu(header, arrays):
        header["steps"][1]["parameters"]["device"] = "cuda"

    expected = load_model(model_file).predict(X)
    rewrite(model_file, trained_on_gpu)
    loaded = load_model(model_file)
    assert loaded[-1].device == "cuda"
    np.testing.assert_array_equal(loaded.predict(X), expected)


def test_pickle_and_joblib_work_too(model_file, tmp_path):
    model = load_model(model_file)
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(copy.predict(X), model.predict(X))


@pytest.mark.parametrize("schema", STORED)
def test_files_of_every_schema_load(schema, tmp_path):
    model = load_model(DATA / f"model_schema_{schema}.safetensors")
    assert model.model_card_.startswith("Two small networks on ")
    assert model.model_versions_["sklearn-elmodes"] == "0.1.0"
    formulas, *expected = STORED[schema]
    found = model.predict(formulas, return_std=True)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    save_model(model, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(formulas, return_std=True), found)


def test_a_set_of_an_earlier_schema_gets_its_own_parameter():
    regressor = load_model(DATA / "model_schema_4.safetensors")[-1]
    assert (regressor.n_sites, regressor.max_elements) == (1, 6)
    regressor = load_model(DATA / "model_schema_1.safetensors")[-1]
    assert (regressor.n_sites, regressor.max_elements) == (4, 10)


def test_settings_of_a_training_are_kept(tmp_path):
    model = make_formation_energy_pipeline(**SMALL).fit(X, Y)
    assert (model[-1].learning_rate_, model[-1].batch_size_, model[-1].max_iter_) == (0.004, 32, 2)
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    for name in ("learning_rate_", "batch_size_", "max_iter_"):
        assert getattr(loaded[-1], name) == getattr(model[-1], name)
    # Schema 2 wrote numbers; schema 4 wrote "auto" and not what it stood for.
    told = load_model(DATA / "model_schema_2.safetensors")[-1]
    assert (told.learning_rate_, told.batch_size_, told.max_iter_) == (0.005, 256, 30)
    untold = load_model(DATA / "model_schema_4.safetensors")[-1]
    assert untold.n_iter_ == 150
    assert (untold.learning_rate_, untold.batch_size_, untold.max_iter_) == (None, None, 150)


def test_a_set_network_of_an_earlier_schema_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    model = make_formation_energy_pipeline(max_iter=1, random_state=0)
    save_model(model.fit(["NaCl", "KBr", "Fe2O3"], [-2.1, -2.0, -1.7]), path)

    def earlier(header, arrays):
        header["schema_version"] = 3

    rewrite(path, earlier)
    with pytest.raises(ValueError, match="does not support the layers of its set network"):
        load_model(path)


def test_shipped_model_predicts_what_it_predicted():
    model = load_pretrained("elpasolites")
    formulas = ["K2NaAlF6", "Cs2NaBiCl6", "Ne2NaAlXe6"]
    energy, std = model.predict(formulas, return_std=True)
    np.testing.assert_allclose(energy, PINNED, atol=2e-4)
    assert (std > 0).all()
    assert "10,590" in model.model_card_
    np.testing.assert_array_equal(
        model.predict([["Al", "Na", "K", "F"], ["Na", "Al", "K", "F"]])[0], energy[0]
    )


def test_shipped_model_fits_its_training_data(elpasolites):
    X, y = elpasolites
    assert np.abs(load_pretrained("elpasolites").predict(X) - y).mean() < 0.02


def test_unknown_name():
    with pytest.raises(
        ValueError, match="No included model is named 'oqmd2'; choose one of elpasolites, oqmd"
    ):
        load_pretrained("oqmd2")


def test_a_folder_is_named_as_such(tmp_path):
    with pytest.raises(OSError, match=r"is a folder, not a model file\.$"):
        load_model(tmp_path)


def test_a_random_generator_is_not_saved(tmp_path):
    seeded = make_formation_energy_pipeline(**{**SMALL, "random_state": np.random.RandomState(0)})
    seeded.set_params(
        elementalmodetransformer__autoencoder=ElementAutoencoder(
            max_iter=2, random_state=np.random.RandomState(1)
        ),
        memory=str(tmp_path / "cache"),
        verbose=True,
    )
    seeded.fit(X, Y)
    save_model(seeded, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), seeded.predict(X))
    assert loaded[-1].random_state is None
    assert loaded[0].autoencoder.random_state is None
    assert loaded.memory is None
    assert isinstance(seeded[-1].random_state, np.random.RandomState)
