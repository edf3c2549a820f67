"""The report of versions is complete, and survives a broken installation."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import sklearn_elmodes
from sklearn_elmodes import _show_versions, show_versions

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def sections(text):
    """Read the report: lines by name, in blocks by title."""
    blocks = {}
    for block in text.strip().split("\n\n"):
        title, *lines = block.splitlines()
        blocks[title] = dict(line.strip().split(": ", maxsplit=1) for line in lines)
    return blocks


def names(requirements):
    return {re.match(r"[\w.-]+", requirement)[0] for requirement in requirements}


@pytest.fixture
def metadata_of_pyproject(monkeypatch):
    """Requirements as pyproject.toml has them now, however old the installation is."""
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + [
        f'{line} and extra == "{extra}"' if ";" in line else f'{line}; extra == "{extra}"'
        for extra, requirements in extras.items()
        for line in requirements
    ]
    monkeypatch.setattr(metadata, "requires", lambda name: lines)


@pytest.mark.usefixtures("metadata_of_pyproject")
def test_every_package_that_users_may_have_is_listed(capsys):
    show_versions()
    found = sections(capsys.readouterr().out)
    assert list(found) == ["System:", "Packages:", "Optional packages:", "Run time:"]
    assert found["System:"]["python"].startswith(sys.version.split()[0])
    assert found["Packages:"].keys() == {"sklearn-elmodes", *names(PROJECT["dependencies"])}
    extras = PROJECT["optional-dependencies"].items()
    users = [names(lines) for extra, lines in extras if extra not in ("tests", "dev", "docs")]
    assert found["Optional packages:"].keys() == set.union(*users)
    assert found["Packages:"]["sklearn-elmodes"] == sklearn_elmodes.__version__
    assert found["Packages:"]["torch"] == metadata.version("torch")
    run_time = ["processors", "OMP_NUM_THREADS", "torch threads", "GPU"]
    assert list(found["Run time:"]) == run_time


def test_packages_that_are_absent_are_named(monkeypatch, capsys):
    monkeypatch.setattr(metadata, "requires", lambda name: ["surely-absent>=1"])
    show_versions()
    assert "surely-absent: not installed\n" in capsys.readouterr().out


def test_a_checkout_that_is_not_installed_has_a_report(monkeypatch, capsys):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    show_versions()
    packages = sections(capsys.readouterr().out)["Packages:"]
    assert packages == {"sklearn-elmodes": sklearn_elmodes.__version__}


def test_a_torch_that_cannot_be_imported_is_reported(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    show_versions()
    run_time = sections(capsys.readouterr().out)["Run time:"]
    assert run_time["torch"].startswith("ModuleNotFoundError: ")
    assert "GPU" not in run_time


def test_a_gpu_is_named(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    assert _show_versions._run_time()["GPU"] == "Some GPU"


def test_versions_are_read_without_importing_the_packages():
    code = """
import sys
from importlib import metadata
from sklearn_elmodes import _show_versions
required, optional = _show_versions._requirements()
versions = [_show_versions._installed_version(name) for name in (*required, *optional)]
assert versions
heavy = {"numpy", "torch", "skorch", "sklearn", "matminer", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
