"""The pages build without a warning, and every public name has one."""

import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_elmodes

for module in ("myst_parser", "numpydoc", "pydata_sphinx_theme", "sphinx_click", "sphinx_gallery"):
    pytest.importorskip(module)

ROOT = Path(__file__).parent.parent
# Run by ``elmodes`` and ``python -m``.
COMMANDS = ("cli", "datasets.rebuild", "pretrained.rebuild", "tables.rebuild")
NOT_FOR_USERS = {"inspection.pyplot"}  # in __all__ for our own modules


def public_names():
    """Yield the names, such as ``formulas.parse_formula``, that need a page.

    A module is public if no part of its name has a leading underscore. Its public names are
    those in its ``__all__``, or else the classes and functions that it defines.
    """
    yield from sklearn_elmodes.__all__
    prefix = f"{sklearn_elmodes.__name__}."
    for found in pkgutil.walk_packages(sklearn_elmodes.__path__, prefix):
        name = found.name.removeprefix(prefix)
        if "._" in f".{name}" or name in COMMANDS:
            continue
        module = importlib.import_module(found.name)
        defined = [key for key, value in vars(module).items() if is_defined_in(module, value)]
        for key in getattr(module, "__all__", defined):
            full = f"{name}.{key}"
            if not key.startswith("_") and full not in NOT_FOR_USERS:
                yield key if key in sklearn_elmodes.__all__ else full


def is_defined_in(module, value):
    if not inspect.isclass(value) and not inspect.isfunction(value):
        return False
    return value.__module__ == module.__name__


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Build the pages from a copy of their sources, without running the examples."""
    folder = tmp_path_factory.mktemp("docs")
    made = shutil.ignore_patterns("_build", "api", "auto_examples")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=made)
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copytree(
        ROOT / "sklearn_elmodes" / "pretrained",
        folder / "sklearn_elmodes" / "pretrained",
        ignore=lambda _, names: [name for name in names if not name.endswith(".md")],
    )
    included = [ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", ROOT / "benchmarks" / "README.md"]
    included += (ROOT / "benchmarks" / "results").glob("*.png")
    included += (ROOT / "benchmarks" / "peers").glob("*.txt")
    for path in included:
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q"]
    result = subprocess.run(
        [*command, "-D", "plot_gallery=0", str(folder / "docs"), str(folder / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return folder / "html"


@pytest.mark.parametrize("name", sorted(set(public_names())))
def test_every_public_name_is_on_the_api_page(pages, name):
    page = pages / "api" / f"sklearn_elmodes.{name}.html"
    assert page.exists()
    assert f'id="sklearn_elmodes.{name}"' in page.read_text(encoding="utf-8")


def test_every_example_and_every_page_is_there(pages):
    for path in (ROOT / "examples").glob("*.py"):
        text = (pages / "auto_examples" / f"{path.stem}.html").read_text(encoding="utf-8")
        title = path.read_text(encoding="utf-8").splitlines()[1]
        assert f"<h1>{title}" in text
    for path in (ROOT / "docs").glob("*.md"):
        assert (pages / f"{path.stem}.html").exists(), path


def test_the_command_line_page_follows_the_command(pages):
    from sklearn_elmodes.cli import main

    text = (pages / "command_line.html").read_text(encoding="utf-8")
    for name in main.commands:
        assert f'id="elmodes-{name}"' in text


def test_pasted_commands_have_straight_quotes(pages):
    for path in pages.glob("*.html"):
        assert not set("‘’“”") & set(path.read_text(encoding="utf-8")), path


def test_the_benchmarks_page_has_its_pictures_and_tables(pages):
    text = (pages / "benchmarks.html").read_text(encoding="utf-8")
    source = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]*\]\(results/(\w+\.png)\)", source)
    assert len(pictures) > 4
    for name in pictures:
        assert f'src="_images/{name}"' in text
        assert (pages / "_images" / name).exists()
    assert text.count("<table") == source.count("\n|---")


def test_no_page_needs_the_network(pages):
    for path in pages.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for tag in ('<script src="http', '<link rel="stylesheet" href="http', '<img src="http'):
            assert tag not in text, path
