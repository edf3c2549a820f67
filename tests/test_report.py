"""The report, as a file and in a browser."""

import json
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from processes import DEADLINE
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline

from sklearn_elmodes import (
    ElementalModeTransformer,
    FormationEnergyRegressor,
    load_model,
    load_pretrained,
    make_formation_energy_pipeline,
    save_model,
)
from sklearn_elmodes.elements import SYMBOLS, property_table
from sklearn_elmodes.formulas import parse_formula
from sklearn_elmodes.inspection import error_by_element
from sklearn_elmodes.report import write_report

BROWSER = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")
SALTS = ["NaCl", "KBr", "LiF", "KCl", "NaF", "LiBr"]
HOSTILE = (
    "</script><script>window.injected = 1</script><img src=x onerror='injected = 2'>"
    "<b><a href='https://example.invalid'>\"${1}%{x}</a></b>"
)


@pytest.fixture(scope="module")
def salt_model():
    pipeline = make_formation_energy_pipeline(
        "rock-salt", n_estimators=2, max_iter=2, random_state=0
    )
    return pipeline.fit(SALTS, [-2.1, -2.0, -3.2, -2.3, -3.0, -1.8])


@pytest.fixture(scope="module")
def oqmd():
    return load_pretrained("oqmd")


@pytest.fixture(scope="module")
def measured(oqmd, enthalpies):
    """Predictions of the measured enthalpies, with the numbers of spreadsheet rows."""
    X, y = enthalpies
    energy, std = oqmd.predict(X, return_std=True)
    return pd.DataFrame(
        {
            "formula": X,
            "true": y,
            "predicted": energy,
            "std": std,
            "row": range(2, len(X) + 2),
        }
    )


def salts(**columns):
    predictions = {"formula": SALTS, "true": np.arange(6.0), "predicted": np.arange(6.0) + 0.1}
    return pd.DataFrame(predictions | columns)


def data_of(path):
    """Return what the page computes with, read from the file as a browser would."""

    class Reader(HTMLParser):
        kind, texts, scripts, text = None, {}, 0, ""

        def handle_starttag(self, tag, attributes):
            self.kind = dict(attributes).get("id") if tag == "script" else None
            self.scripts += tag == "script"

        def handle_endtag(self, tag):
            self.kind = None

        def handle_data(self, text):
            if self.kind == "data":
                self.text += text

    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.scripts == 3
    return json.loads(reader.text)


# ---- the file ----


def test_importing_it_loads_neither_plotly_nor_jinja2_nor_torch():
    code = "import sys, sklearn_elmodes.report; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"plotly", "jinja2", "torch", "skorch", "pymatgen"} & set(out.stdout.split())


def test_scores(tmp_path, oqmd, measured):
    path = tmp_path / "report.html"
    write_report(path, oqmd, predictions=measured, scheme="the model as it ships", source="oqmd")
    true, predicted = measured["true"], measured["predicted"]
    error = (predicted - true).abs()
    text = path.read_text(encoding="utf-8")
    for value in (
        f"{mean_absolute_error(true, predicted):.3f} eV/atom",
        f"{root_mean_squared_error(true, predicted):.3f} eV/atom",
        f"{error.median():.3f} eV/atom",
        f"{r2_score(true, predicted):.4f}",
        f"{spearmanr(measured['std'], error).statistic:.2f}",
        f"{(error <= measured['std']).mean():.1%}",
        f"{(error <= 2 * measured['std']).mean():.1%}",
    ):
        assert f"<strong>{value}</strong>" in text
    assert "2,135 predictions of the model oqmd" in text
    assert "the model as it ships" in text
    assert "load_pretrained(&#39;oqmd&#39;)" in text
    assert "239,121 formulas of the training part" in text  # the model card
    rows = data_of(path)["predictions"]
    expected = error_by_element(measured["formula"], true, predicted)
    for z, symbol in enumerate(SYMBOLS):
        if symbol in expected.index:
            assert rows["mae"][z] == pytest.approx(expected["mae"][symbol], abs=1e-6)
            assert rows["counts"][z] == expected["n_samples"][symbol]
        else:
            assert (rows["mae"][z], rows["counts"][z]) == (None, 0)
    order = np.argsort(-error.to_numpy(), kind="stable")
    assert rows["row"] == measured["row"].to_numpy()[order].tolist()
    assert [rows["formulas"][i] for i in rows["formula"]] == measured["formula"][order].tolist()
    np.testing.assert_allclose(rows["predicted"], predicted[order], atol=1e-6)


def test_errors_of_held_out_elements_and_groups(tmp_path, salt_model):
    path = tmp_path / "report.html"
    predictions = pd.DataFrame(
        [
            ("NaCl", 0.0, 0.1, "Na"),
            ("NaCl", 0.0, 0.2, "Cl"),
            ("KCl", 0.0, 0.4, "Cl"),
            ("NaCl", 0.0, 0.8, "group 17"),
        ],
        columns=["formula", "true", "predicted", "held_out"],
    )
    write_report(path, salt_model, predictions=predictions)
    rows = data_of(path)["predictions"]
    assert rows["mae"][SYMBOLS.index("Na")] == pytest.approx(0.1)
    assert rows["mae"][SYMBOLS.index("K")] is None  # it occurs, but was not held out
    assert rows["mae"][SYMBOLS.index("Cl")] == pytest.approx((0.2 + 0.4 + 0.8) / 3)
    text = path.read_text(encoding="utf-8")
    mean = np.mean([0.1, 0.3, 0.8])
    assert f"<strong>{mean:.3f} eV/atom</strong>" in text
    assert "worst: group 17 with 0.800 eV/atom" in text


def test_the_same_input_gives_the_same_file(tmp_path, salt_model):
    for name in ("a", "b"):
        predictions = salts(std=0.1)
        write_report(tmp_path / name, salt_model, predictions=predictions, title="T")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_one_row_without_any_error(tmp_path, salt_model):
    path = tmp_path / "report.html"
    predictions = pd.DataFrame({"formula": ["NaCl"], "true": [1.0], "predicted": [1.0]})
    write_report(path, salt_model, predictions=predictions.assign(std=0.0), unit="")
    text = path.read_text(encoding="utf-8")
    assert "<strong>0.000</strong>" in text
    assert text.count("<strong>–</strong>") == 2  # no R², no rank correlation


def test_what_it_says_of_models(tmp_path, oqmd, salt_model):
    path = tmp_path / "report.html"

    def text_of(model, **options):
        write_report(path, model, **options)
        return path.read_text(encoding="utf-8")

    text = text_of(oqmd)
    assert "formulas of any kind, of up to 10 elements" in text
    assert "the mean of 2 networks" in text
    assert "12 for each element, learned from 25 properties of the table “extended”" in text
    n_weights = sum(w.numel() for w in oqmd[-1].net_.module_.parameters())
    assert f"{n_weights:,} in all" in text
    assert "(256, 256, 256, 256)" in text  # a parameter that is not the default
    assert "learning_rate_init" not in text  # one that is
    text = text_of(salt_model)
    assert "formulas of the structure AB, or the elements on its 2 sites A and B" in text
    assert "exchanging the elements on sites A and B gives identical predictions" in text
    assert "The model has no card" in text

    table = property_table("herr2019").iloc[:40, :6]
    own = make_formation_energy_pipeline(pooling="statistics", n_estimators=1, max_iter=1)
    own[0].set_params(properties=table, n_components=3)
    text = text_of(own.fit(SALTS, np.arange(6.0)))
    assert "as statistics of the modes of their elements" in text
    assert "3 for each element, learned from 6 properties of a user-defined table" in text
    assert "StandardScaler" in text
    assert "a single network" in text
    assert "a table of shape (40, 6)" in text

    tuned = make_formation_energy_pipeline(pretrained="oqmd", freeze="encoder", max_iter=1)
    file = tmp_path / "salts.safetensors"
    tuned.fit(SALTS, [-2.1, -2.0, -3.2, -2.3, -3.0, -1.8])
    save_model(tuned, file, card="# Salts\n\n- <b>one</b>\n- **two**")
    assert "the model &#39;oqmd&#39;, encoder frozen" in text_of(tuned)
    text = text_of(load_model(file), source=file)
    assert f"load_model(&#39;{file}&#39;)" in text
    assert "<strong>Salts</strong>" in text
    assert "&lt;b&gt;one&lt;/b&gt;" in text


def test_what_it_says_of_a_training(tmp_path, oqmd):
    path = tmp_path / "report.html"
    earlier = load_model(Path(__file__).parent / "data" / "model_schema_4.safetensors")
    for model, step, batch in ((oqmd, "0.004", "512"), (earlier, *["auto (not recorded)"] * 2)):
        write_report(path, model)
        facts = re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", path.read_text(encoding="utf-8"))
        assert ("Maximum learning rate", step) in facts
        assert ("Batch size", batch) in facts


def test_coupled_exchanges_are_described(tmp_path):
    model = make_formation_energy_pipeline(
        "elpasolite", permutations=[(1, 0, 3, 2)], max_iter=1, n_estimators=1, random_state=0
    )
    model.fit(["K2NaAlF6", "Cs2NaBiCl6"], [-3.0, -1.9])
    write_report(tmp_path / "report.html", model)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "2 orders of the sites A, B, C and D give identical predictions" in text


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([("NaCl", 1, 1)], "predictions must be a DataFrame"),
        (
            salts().drop(columns="true"),
            "lack the column 'true'; they have ['formula', 'predicted']",
        ),
        (salts().iloc[:0], "predictions have no rows"),
        (salts().rename(columns={"predicted": "true"}).assign(predicted=0), "2 columns 'true'"),
        (salts(true=[1, 2, np.nan, 4, 5, 6]), "Row 2: true is nan; it must be a finite number"),
        (salts(predicted=[1, np.inf, 3, 4, 5, 6]), "Row 1: predicted is inf; it must be a finite"),
        (salts(true=[1, 2, 3, "four", 5, 6]), "Row 3: true is 'four'; it must be a finite number"),
        (salts(true=pd.array([1, None, 3, 4, 5, 6], dtype="Int64")), "Row 1: true is <NA>"),
        (salts(true=1e200), "Row 0: true is 1e+200; it must be a finite number below 1e+100"),
        (salts(std=[1, 2, 3, -0.5, 5, 6]), "Row 3: The std is -0.5; it cannot be negative"),
        (salts(row=[1, 2, 3.5, 4, 5, 6]), "Row 2: The number of the row is 3.5; it must be whole"),
        (salts(formula=["NaCl", "Xx", *SALTS[2:]]), "Row 1: Cannot read the formula 'Xx'"),
        (salts(formula=["NaCl", None, *SALTS[2:]]), "Row 1: The formula is None; it must be text"),
        (salts(formula="NaCl</script>"), "Row 0: Cannot read the formula 'NaCl</script>'"),
        (salts(held_out="K"), "Row 0: NaCl does not contain K, which was held out"),
        (
            salts(held_out="group 19"),
            "Row 0: held_out is 'group 19'; it must be an element symbol",
        ),
        (salts(held_out=np.nan), "Row 0: held_out is nan; it must be an element symbol"),
    ],
)
def test_refuses_predictions(tmp_path, salt_model, predictions, message):
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(ValueError, match=re.escape(message)):
        write_report(path, salt_model, predictions=predictions)
    assert path.read_text() == "before"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (FormationEnergyRegressor(), "is not a Pipeline; a report needs a fitted Pipeline"),
        (make_pipeline(Ridge()), "starts with Ridge()"),
        (make_pipeline(ElementalModeTransformer(), Ridge()), "ends with Ridge()"),
        (make_formation_energy_pipeline("rock-salt"), "not fitted yet"),
    ],
)
def test_refuses_models(tmp_path, model, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        write_report(tmp_path / "report.html", model)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_an_error(tmp_path, salt_model):
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path / "no" / "report.html", salt_model)


def test_fifty_thousand_rows_make_a_small_file(tmp_path, oqmd, measured):
    rng = np.random.RandomState(0)
    many = measured.iloc[rng.randint(len(measured), size=50_000)].reset_index(drop=True)
    many["predicted"] += rng.normal(scale=0.1, size=len(many))
    many["row"] = np.arange(len(many))
    write_report(tmp_path / "report.html", oqmd, predictions=many)
    assert (tmp_path / "report.html").stat().st_size < 12e6


def test_texts_of_the_user_stay_text(tmp_path, salt_model):
    path = tmp_path / "report.html"
    write_report(
        path,
        salt_model,
        predictions=salts(),
        **dict.fromkeys(("title", "scheme", "target", "unit", "command", "source"), HOSTILE),
    )
    data = data_of(path)  # which counts the scripts
    assert data["target"] == data["unit"] == HOSTILE
    text = path.read_text(encoding="utf-8")
    assert "window.injected = 1<" not in text
    assert "<img" not in text.split("<script")[0]


# ---- in the browser ----


class Page:
    """A report in Chromium."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, path, width=1400, height=1000):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(path.as_uri())
        return self

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def cell(self, symbol):
        return self.driver.find_element("css selector", f".cell[data-symbol={symbol}]")

    def click(self, *symbols):
        for symbol in symbols:
            self.cell(symbol).click()

    def press(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def pressed(self):
        cells = self.driver.find_elements("css selector", ".cell[aria-pressed=true]")
        return [cell.get_attribute("data-symbol") for cell in cells]

    def choose(self, name, value):
        self.run(
            "const select = document.getElementById(arguments[0]); select.value = arguments[1];"
            "select.dispatchEvent(new Event('change'))",
            name,
            value,
        )

    def text(self, selector):
        return self.driver.find_element("css selector", selector).text

    def parity(self):
        """Return formula, row, true and predicted value of each point."""
        x, y, texts, drawn = self.run(
            "const points = document.getElementById('parity').data[1];"
            "return [points.x, points.y, points.hovertext,"
            " document.querySelectorAll('#parity .points path').length];"
        )
        assert len(x) == len(y) == len(texts) == drawn
        formulas = [text.split("<br>")[0][3:-4] for text in texts]
        rows = [int(text.split("<br>row ")[1].split("<br>")[0]) for text in texts]
        return pd.DataFrame({"formula": formulas, "true": y, "predicted": x}, index=rows)

    def worst(self):
        return self.run(
            "return [...document.querySelectorAll('#worst tbody tr')]"
            ".map(line => [...line.cells].map(cell => cell.textContent))"
        )


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    for program in (BROWSER, DRIVER):
        if not program.exists():
            pytest.skip(f"{program} is absent; on Debian: apt install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    profile = tmp_path_factory.mktemp("chromium")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver):
    """Open pages; none may write to the console or ask for anything but its file."""
    driver.get("about:blank")
    driver.get_log("performance")
    page = Page(driver)
    yield page
    assert driver.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    sockets = [event for event in events if event["method"] == "Network.webSocketCreated"]
    assert any(url.startswith("file:") for url in asked)  # the log does tell
    assert not sockets
    assert {url for url in asked if not url.startswith("data:")} == {driver.current_url}


@pytest.fixture(scope="module")
def report(tmp_path_factory, oqmd, measured):
    path = tmp_path_factory.mktemp("report") / "measured.html"
    write_report(path, oqmd, predictions=measured, source="oqmd", scheme="the model as it ships")
    return path


def rows_with(predictions, *symbols):
    """Return the rows that contain all these elements, worst first."""
    contained = predictions["formula"].map(lambda text: set(symbols) <= parse_formula(text).keys())
    found = predictions[contained]
    order = np.argsort(-(found["predicted"] - found["true"]).abs().to_numpy(), kind="stable")
    return found.iloc[order]


def check_rows(page, expected, decimals=3):
    """The plot and the table show these rows and no others."""
    points = page.parity().sort_index()
    by_row = expected.set_index("row").sort_index()
    assert points.index.tolist() == by_row.index.tolist()
    assert points["formula"].tolist() == by_row["formula"].tolist()
    np.testing.assert_allclose(points["true"], by_row["true"], atol=1e-6)
    np.testing.assert_allclose(points["predicted"], by_row["predicted"], atol=1e-6)
    assert page.worst() == [
        [
            row.formula,
            str(row.row),
            *(
                f"{value:.{decimals}f}"
                for value in (row.true, row.predicted, row.predicted - row.true, row.std)
            ),
        ]
        for row in expected.head(20).itertuples()
    ]


def test_it_renders(page, report, measured):
    page.open(report)
    check_rows(page, rows_with(measured))
    assert page.text("#status").startswith("All 2,135 rows, MAE 0.1")
    assert page.run("return document.querySelectorAll('.cell').length") == 118
    assert page.run("return document.querySelectorAll('#map .points path.point').length") == 103
    assert page.run("return document.querySelector('#parity .ytitle').textContent") == (
        "true formation energy (eV/atom)"
    )
    background = "return getComputedStyle(arguments[0]).backgroundImage"
    assert "repeating-linear-gradient" in page.run(background, page.cell("Og"))
    assert page.run(background, page.cell("O")) == "none"


def test_hover_shows_values(page, report, oqmd, measured):
    from selenium.webdriver import ActionChains

    page.open(report)
    scores = error_by_element(measured["formula"], measured["true"], measured["predicted"])
    for symbol, name in (("Yb", "Ytterbium"), ("O", "Oxygen")):
        ActionChains(page.driver).move_to_element(page.cell(symbol)).perform()
        lines = page.text("#tip").splitlines()
        assert lines[0].startswith(f"{symbol} {name}")
        assert lines[1] == f"MAE {scores['mae'][symbol]:.3f} eV/atom"
        assert lines[2] == f"{scores['n_samples'][symbol]} rows"
    ActionChains(page.driver).move_to_element(page.cell("Og")).perform()
    assert page.text("#tip").splitlines()[1:] == ["no rows", "no modes"]

    worst = rows_with(measured).iloc[0]
    point = page.driver.find_element("css selector", "#parity .points path:last-child")
    ActionChains(page.driver).move_to_element(point).perform()
    hover = "#parity .hoverlayer .nums, #parity .hoverlayer .name, #parity .hovertext"
    text = wait(lambda: page.run("return document.querySelector(arguments[0])?.textContent", hover))
    assert worst["formula"] in text
    assert f"std {worst['std']:.3f}" in text

    element = page.driver.find_element("css selector", "#map .points path:first-child")
    page.run("arguments[0].scrollIntoView({block: 'center'})", element)
    ActionChains(page.driver).move_to_element(element).perform()
    hover = hover.replace("parity", "map")
    text = wait(lambda: page.run("return document.querySelector(arguments[0])?.textContent", hover))
    assert "H Hydrogen" in text
    assert f"mode 12: {oqmd[0].modes_.loc['H', 'mode12']:.2f}" in text


def wait(condition, seconds=DEADLINE):
    """Return the first value that is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.05)
    return value


def test_clicks_filter(page, report, measured):
    page.open(report)
    page.click("O")
    assert page.pressed() == ["O"]
    expected = rows_with(measured, "O")
    check_rows(page, expected)
    mae = (expected["predicted"] - expected["true"]).abs().mean()
    status = f"{len(expected)} of 2,135 rows with O, MAE {mae:.3f} eV/atom."
    assert page.text("#status") == status
    page.click("Si")
    check_rows(page, rows_with(measured, "O", "Si"))
    page.click("O")  # a second click takes it back
    check_rows(page, rows_with(measured, "Si"))
    page.click("Si")
    assert page.pressed() == []
    check_rows(page, rows_with(measured))

    page.click("Og")  # in no row
    assert page.pressed() == []
    page.click("Yb", "Au")
    assert not len(rows_with(measured, "Yb", "Au"))
    assert page.worst() == []
    assert page.text("#status") == "0 of 2,135 rows with Yb and Au."
    page.driver.find_element("id", "clear").click()
    check_rows(page, rows_with(measured))


def test_the_keyboard_does_all_that(page, report, measured):
    from selenium.webdriver.common.keys import Keys

    page.open(report)
    page.run("document.getElementById('quantity').focus()")
    focused = "return document.activeElement.dataset.symbol"
    page.press(Keys.TAB)
    assert page.run(focused) == "H"
    assert page.text("#tip").startswith("H Hydrogen")
    page.press(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert page.run(focused) == "Be"
    page.press(Keys.ARROW_RIGHT)  # across the gap
    assert page.run(focused) == "B"
    page.press(Keys.ENTER)
    assert page.pressed() == ["B"]
    check_rows(page, rows_with(measured, "B"))
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.SPACE)
    assert page.pressed() == ["B", "O"]
    check_rows(page, rows_with(measured, "B", "O"))
    page.press(Keys.ESCAPE)
    assert page.pressed() == []
    check_rows(page, rows_with(measured))
    page.run("arguments[0].focus()", page.cell("At"))
    page.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)  # to the f block, below its gap
    assert page.run(focused) == "Yb"


def test_held_out_elements_filter_the_rows_of_their_models(page, tmp_path, salt_model):
    rows = [
        (formula, row, held_out)
        for row, formula in enumerate(SALTS)
        for held_out in [*parse_formula(formula), "group 17"]
    ]
    predictions = pd.DataFrame(rows, columns=["formula", "row", "held_out"])
    predictions["true"], predictions["predicted"] = 0.0, 1.0 / (1 + predictions.index)
    path = tmp_path / "held_out.html"
    write_report(path, salt_model, predictions=predictions)
    page.open(path).click("Na")
    shown = [line[:3] for line in page.worst()]
    assert shown == [["NaCl", "0", "Na"], ["NaF", "4", "Na"]]
    page.click("Na", "Cl")
    shown = [line[:3] for line in page.worst()]
    assert shown == [
        [f, r, h] for f, r in (("NaCl", "0"), ("KCl", "3")) for h in ("Cl", "group 17")
    ]
    assert page.text("#status").startswith("4 of 18 rows with Cl")
    page.click("Na")  # both: rows with both, by models that had not seen one of them
    assert [line[:3] for line in page.worst()] == [
        ["NaCl", "0", "Na"],
        ["NaCl", "0", "Cl"],
        ["NaCl", "0", "group 17"],
    ]


def test_many_rows_are_drawn_in_part_and_filtered_in_full(page, tmp_path, oqmd, measured):
    rng = np.random.RandomState(0)
    many = pd.concat([measured] * 3, ignore_index=True)
    many["predicted"] += rng.normal(scale=0.05, size=len(many))
    many["row"] = np.arange(len(many))
    path = tmp_path / "many.html"
    write_report(path, oqmd, predictions=many)
    page.open(path)
    points = page.parity()
    assert len(points) == points.index.nunique() == 5000
    ordered = rows_with(many)
    assert set(ordered["row"].head(500)) <= set(points.index)
    by_row = many.set_index("row").loc[points.index]
    np.testing.assert_allclose(points["predicted"], by_row["predicted"], atol=1e-6)
    ranks = pd.Series(range(len(many)), index=ordered["row"])[list(points.index)]
    others = ranks[ranks >= 500]
    assert abs(others.mean() - (500 + len(many)) / 2) < 100  # from all over, not the next best
    assert "the 500 worst of 6,405 rows and 4,500 of the others" in page.text("#sample")
    page.click("Te")
    check_rows(page, rows_with(many, "Te"))
    assert page.text("#sample") == ""


def test_a_model_alone_shows_its_modes(page, tmp_path, oqmd):
    path = tmp_path / "model.html"
    write_report(path, oqmd, source="oqmd")
    page.open(path)
    assert not page.driver.find_elements("css selector", "#parity, #worst, #scores")
    modes = oqmd[0].modes_
    assert page.text("#low") == f"{modes['mode1'].min():.2f}"
    label = page.cell("Na").get_attribute("aria-label")
    assert label == f"Na Sodium, Z = 11, mode 1: {modes.loc['Na', 'mode1']:.2f}"
    colour = "return arguments[0].style.backgroundColor"
    top = page.run(colour, page.cell(modes["mode1"].idxmax()))
    page.choose("quantity", "4")
    assert page.run(colour, page.cell(modes["mode5"].idxmax())) == top == "rgb(253, 231, 37)"
    page.click("Na", "Og")
    assert page.pressed() == ["Na"]
    assert page.text("#status") == "Marked in the map: Na."
    marked = page.run("const { x, y } = document.getElementById('map').data[4]; return [x, y]")
    np.testing.assert_allclose(np.ravel(marked), modes.loc["Na", ["mode1", "mode2"]], atol=1e-4)


def test_labels_in_the_map_do_not_collide(page, report):
    page.open(report)
    boxes = (
        "return [...document.querySelectorAll('#map .scatterlayer text')]"
        ".filter(label => label.textContent.trim()).map(label => {"
        "const box = label.getBoundingClientRect();"
        "return [box.left, box.right, box.top, box.bottom] })"
    )
    for axes in ("1 2", "3 4"):
        for name, mode in zip(("across", "up"), axes.split(), strict=True):
            page.choose(name, mode)
        left, right, top, bottom = np.array(wait(lambda: page.run(boxes))).T
        assert len(left) > 50
        # A pixel or two of a text's box is blank.
        across = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
        along = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
        collide = (across > 2) & (along > 4)
        assert collide.sum() == len(left)  # each with itself


def test_a_narrow_window_needs_no_sideways_scrolling(page, report, measured):
    from selenium.webdriver import ActionChains

    page.open(report, width=400, height=800)
    widths = page.run(
        "const root = document.documentElement;"
        "return [root.scrollWidth, root.clientWidth, document.body.scrollWidth]"
    )
    assert max(widths) <= widths[1] <= 400
    charts = (
        "return [...document.querySelectorAll('.chart')].map(c => c.getBoundingClientRect().right)"
    )
    assert max(page.run(charts)) <= 400
    ActionChains(page.driver).move_to_element(page.cell("F")).perform()
    box = page.driver.find_element("id", "tip").rect
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 400
    page.click("F")
    check_rows(page, rows_with(measured, "F"))


def test_hostile_texts_in_the_browser(page, tmp_path, salt_model):
    path = tmp_path / "hostile.html"
    write_report(
        path,
        salt_model,
        predictions=salts(std=0.1, row=range(6)),
        **dict.fromkeys(("title", "scheme", "target", "unit", "command"), HOSTILE),
        source=os.fsdecode(b"\xff<b>.safetensors"),
    )
    page.open(path).click("Na")
    assert len(page.parity()) == 2
    assert page.run("return window.injected === undefined")
    assert page.driver.title == page.text("h1") == HOSTILE
    assert page.text("#reproduce pre") == HOSTILE
    title = page.run("return document.querySelector('#parity .xtitle').textContent")
    assert title == f"predicted {HOSTILE} ({HOSTILE})"
    assert page.run("return document.querySelectorAll('img, .chart a').length") == 0
