"""Names and paths of models mean the same everywhere."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from sklearn_elmodes import load_model, load_pretrained, make_formation_energy_pipeline, save_model
from sklearn_elmodes._model_files import find_model, read, shipped_models
from sklearn_elmodes.cli import main

SALTS, ENERGIES = ["NaCl", "KBr", "LiF", "CsI"], [-2.13, -2.04, -3.19, -1.80]


@pytest.fixture
def local_oqmd(tmp_path, monkeypatch):
    """A file named like a shipped model, with other weights, in the current folder."""
    monkeypatch.chdir(tmp_path)
    model = make_formation_energy_pipeline(max_iter=1, random_state=0).fit(SALTS, ENERGIES)
    save_model(model, "oqmd")
    return model


def run(*arguments):
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def nearly_untrained(pretrained):
    return make_formation_energy_pipeline(
        pretrained=pretrained, max_iter=1, learning_rate_init=1e-12, random_state=0
    ).fit(SALTS, ENERGIES)


@pytest.mark.filterwarnings("ignore:The pretrained model's error is large")
def test_a_name_is_the_shipped_model_and_a_path_is_the_file(local_oqmd):
    shipped = load_pretrained("oqmd").predict(SALTS)
    own = local_oqmd.predict(SALTS)
    assert np.abs(shipped - own).max() > 0.1
    for name, expected in (("oqmd", shipped), ("./oqmd", own)):
        written = json.loads(run("predict", name, "NaCl", "--json"))
        assert written["predicted"] == pytest.approx(expected[0], abs=1e-4)
        np.testing.assert_array_equal(load_model(find_model(name)).predict(SALTS), expected)
    np.testing.assert_allclose(nearly_untrained("oqmd").predict(SALTS), shipped, atol=1e-4)
    weights = local_oqmd[-1].net_.module_.state_dict()
    for pretrained in ("./oqmd", local_oqmd):
        tuned = nearly_untrained(pretrained)[-1].net_.module_.state_dict()
        np.testing.assert_allclose(
            tuned["encoder.element.0.weight"], weights["encoder.element.0.weight"], atol=1e-6
        )


@pytest.mark.filterwarnings("ignore:The pretrained model's error is large")
def test_training_from_the_command_line_takes_the_same_model(local_oqmd, tmp_path):
    rows = "\n".join(f"{x},{y}" for x, y in zip(SALTS, ENERGIES, strict=True))
    (tmp_path / "t.csv").write_text(f"formula,e\n{rows}\n")
    settings = ["--target", "e", "--max-iter", 1, "--n-estimators", 2]
    for pretrained in ("oqmd", "./oqmd"):
        run("train", "t.csv", *settings, "--pretrained", pretrained, "-o", "tuned.safetensors")
        expected = make_formation_energy_pipeline(
            pretrained=pretrained, max_iter=1, random_state=0
        ).fit(SALTS, ENERGIES)
        found = load_model("tuned.safetensors")
        np.testing.assert_array_equal(found.predict(SALTS), expected.predict(SALTS))


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (
            "none",
            ValueError,
            r"'none' is neither an included model \(elpasolites, oqmd\) nor a file",
        ),
        ("", ValueError, "'' is neither an included model"),
        ("none.safetensors", FileNotFoundError, r"The file none.safetensors does not exist"),
        ("./none", FileNotFoundError, "The file none does not exist"),
    ],
)
def test_neither_a_name_nor_a_file(model, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        find_model(model)
    with pytest.raises(error, match=message):
        nearly_untrained(model)


def test_a_folder_is_not_a_model(tmp_path):
    for use in (read, load_model, nearly_untrained):
        with pytest.raises((OSError, ValueError)):
            use(tmp_path)


@pytest.mark.parametrize("name", shipped_models())
def test_a_record_is_settings_and_arrays(name):
    record = read(find_model(name))
    assert [step.kind for step in record.steps] == [
        "ElementalModeTransformer",
        "FormationEnergyRegressor",
    ]
    assert record.steps[0].arrays["modes"].shape == (103, 12)
    json.dumps([step.settings for step in record.steps])
    assert record.card == load_pretrained(name).model_card_


def test_reading_a_record_needs_no_estimator():
    code = (
        "import sys; from sklearn_elmodes._model_files import find_model, read; "
        "read(find_model('oqmd')); print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"torch", "skorch", "sklearn", "pandas"} & set(out.stdout.split())
