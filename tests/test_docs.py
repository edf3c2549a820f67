"""The pages build without a warning, and every public name has one."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_elmodes

for module in ("myst_parser", "numpydoc", "pydata_sphinx_theme", "sphinx_click", "sphinx_gallery"):
    pytest.importorskip(module)

ROOT = Path(__file__).parent.parent
MODULES = ["datasets", "featurizers", "inspection"]
HELPERS = {"pyplot"}  # public for our own modules alone


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Build from a copy of what the pages are made of, with no example run."""
    folder = tmp_path_factory.mktemp("docs")
    made = shutil.ignore_patterns("_build", "api", "auto_examples")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=made)
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copytree(
        ROOT / "sklearn_elmodes" / "pretrained",
        folder / "sklearn_elmodes" / "pretrained",
        ignore=lambda _, names: [name for name in names if not name.endswith(".md")],
    )
    for name in ("CHANGELOG.md", "SECURITY.md"):
        shutil.copy(ROOT / name, folder)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q"]
    result = subprocess.run(
        [*command, "-D", "plot_gallery=0", str(folder / "docs"), str(folder / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return folder / "html"


@pytest.mark.parametrize("name", sklearn_elmodes.__all__)
def test_every_public_name_has_a_page(pages, name):
    text = (pages / "api" / f"sklearn_elmodes.{name}.html").read_text(encoding="utf-8")
    assert f'id="sklearn_elmodes.{name}"' in text


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_of_the_modules_has_a_page(pages, module):
    full_name = f"sklearn_elmodes.{module}"
    for name in set(importlib.import_module(full_name).__all__) - HELPERS:
        assert (pages / "api" / f"{full_name}.{name}.html").exists(), name


@pytest.mark.parametrize(
    "name",
    [
        "candidates.FormulaCandidates",
        "elements.property_table",
        "formulas.parse_formula",
        "formulas.RowError",
        "model_selection.predict_held_out",
        "report.write_report",
        "occupations.alchemical_path",
    ],
)
def test_names_of_modules_without_a_list_have_a_page(pages, name):
    assert (pages / "api" / f"sklearn_elmodes.{name}.html").exists()


def test_every_example_and_every_page_is_there(pages):
    for path in (ROOT / "examples").glob("*.py"):
        text = (pages / "auto_examples" / f"{path.stem}.html").read_text(encoding="utf-8")
        title = path.read_text(encoding="utf-8").splitlines()[1]
        assert f"<h1>{title}".replace("'", "’") in text.replace("'", "’")
    for path in (ROOT / "docs").glob("*.md"):
        assert (pages / f"{path.stem}.html").exists(), path


def test_the_command_line_page_follows_the_command(pages):
    from sklearn_elmodes.cli import main

    text = (pages / "command_line.html").read_text(encoding="utf-8")
    for name in main.commands:
        assert f'id="elmodes-{name}"' in text


def test_no_page_needs_the_network(pages):
    for path in pages.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for tag in ('<script src="http', '<link rel="stylesheet" href="http', '<img src="http'):
            assert tag not in text, path
