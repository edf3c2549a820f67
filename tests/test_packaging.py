"""Wheel and sdist are complete, and the wheel works in an environment without the checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import sklearn_elmodes

pytest.importorskip("build")

ROOT = Path(__file__).parent.parent
VERSION = sklearn_elmodes.__version__
# Nothing in the surroundings may lead back to the checkout or to data beside it.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("PYTHONPATH", "SCIKIT_LEARN_DATA", "VIRTUAL_ENV")
}


def run(*command, cwd):
    result = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def sources():
    """Paths of all files of the repository that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a git checkout: {error}")
    return [name for name in result.stdout.split("\0") if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def distributions(sources, tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("packaging")
    for name in sources:
        copy = folder / "source" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    build = ("-m", "build", "--no-isolation", "--outdir", "dist", "source")
    run(sys.executable, *build, cwd=folder)
    sdist, wheel = sorted((folder / "dist").iterdir(), key=lambda path: path.suffix)
    return sdist, wheel


@pytest.fixture(scope="module")
def environment(distributions, tmp_path_factory):
    """Scripts of an environment with the wheel; only dependencies come from the running one."""
    folder = tmp_path_factory.mktemp("environment").resolve()
    venv.create(folder, symlinks=os.name != "nt")
    place = {"base": str(folder), "platbase": str(folder)}
    scripts = Path(sysconfig.get_path("scripts", "venv", place))
    pip = (sys.executable, "-m", "pip", "--python", str(scripts / "python"))
    run(*pip, "install", "--no-deps", "--no-index", str(distributions[1]), cwd=folder)
    # A .pth file extends the path but runs no .pth files there, such as that of the checkout.
    dependencies = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    site_packages = Path(sysconfig.get_path("purelib", "venv", place))
    (site_packages / "dependencies.pth").write_text("\n".join(dependencies))
    return scripts


def package_files(sources):
    return {name for name in sources if name.startswith("sklearn_elmodes/")}


def test_the_wheel_has_every_file_of_the_package_and_no_other(sources, distributions):
    with zipfile.ZipFile(distributions[1]) as wheel:
        names = set(wheel.namelist())
    metadata = {name for name in names if name.startswith(f"sklearn_elmodes-{VERSION}.dist-info/")}
    assert names - metadata == package_files(sources)
    assert f"sklearn_elmodes-{VERSION}.dist-info/licenses/LICENSE" in metadata


def test_the_sdist_has_the_package_and_what_explains_it(sources, distributions):
    top = f"sklearn_elmodes-{VERSION}/"
    with tarfile.open(distributions[0]) as sdist:
        names = {member.name.removeprefix(top) for member in sdist if member.isfile()}
    metadata = {name for name in names if name.startswith("sklearn_elmodes.egg-info/")}
    pages = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "SECURITY.md"}
    build = {"MANIFEST.in", "PKG-INFO", "pyproject.toml", "setup.cfg"}
    assert names - metadata == package_files(sources) | pages | build


def test_the_wheel_is_imported_without_the_checkout(environment, tmp_path):
    code = "import sys, sklearn_elmodes; print(sklearn_elmodes.__file__, *sys.path, sep='\\n')"
    module, *path = map(Path, run(environment / "python", "-c", code, cwd=tmp_path).splitlines())
    assert module.is_relative_to(environment.parent)
    assert ROOT not in path


def test_the_command_shows_modes(environment, tmp_path):
    lines = run(environment / "elmodes", "modes", "Na", "K", "Cl", cwd=tmp_path).splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["Na", "K", "Cl"]


@pytest.mark.slow
def test_the_demo_learns_modes_and_loads_a_model(environment, tmp_path):
    parts = ("--part", "1", "--part", "3")
    output = run(environment / "elmodes", "demo", "--quick", *parts, "-o", "demo", cwd=tmp_path)
    assert "1. Modes." in output
    assert re.search(r"K2NaAlF6 +-\d\.\d\d ± ", output)
    names = sorted(path.name for path in (tmp_path / "demo").iterdir())
    assert names == ["mode_map.png", "modes.csv", "periodic_table.png"]


def test_the_citation_names_this_version():
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
