"""Workflows and forms of GitHub, which cannot run here, pass linters and agree with the project."""

import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lint(command, *arguments):
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)


def check_schema(schema, *files):
    pytest.importorskip("check_jsonschema")
    return lint([sys.executable, "-m", "check_jsonschema"], "--builtin-schema", schema, *files)


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs():
    return [job for path in WORKFLOWS for job in load(path)["jobs"].values()]


def matrix_rows():
    """Rows of targets and Pythons."""
    test = load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]
    return test["strategy"]["matrix"]["include"]


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("custom.github-workflows-require-timeout", WORKFLOWS),
        ("vendor.github-issue-forms", FORMS),
        ("vendor.dependabot", [ROOT / ".github" / "dependabot.yml"]),
        ("vendor.citation-file-format", [ROOT / "CITATION.cff"]),
    ],
)
def test_files_follow_their_schema(schema, files):
    assert files
    result = check_schema(schema, *files)
    assert result.returncode == 0, result.stdout


def test_the_schema_finds_mistakes(tmp_path):
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    (tmp_path / "workflow.yml").write_text(text.replace("runs-on:", "run-on:"))
    result = check_schema("vendor.github-workflows", tmp_path / "workflow.yml")
    assert result.returncode == 1, result.stdout


def test_workflows_are_secure():
    """Actions are pinned by hash, permissions are the least, and no input reaches a shell."""
    zizmor = Path(sysconfig.get_path("scripts")) / "zizmor"
    if not zizmor.exists():
        pytest.skip("zizmor is not installed")
    options = ("--offline", "--min-severity=medium", "--no-progress")
    result = lint([str(zizmor)], *options, ROOT / ".github")
    assert result.returncode == 0, result.stdout


def test_pythons_are_those_that_the_package_declares():
    prefix = "Programming Language :: Python :: "
    declared = [
        line.removeprefix(prefix)
        for line in PROJECT["classifiers"]
        if re.fullmatch(prefix + r"3\.\d+", line)
    ]
    pythons = {
        target: [row["python"] for row in matrix_rows() if row["target"] == target]
        for target in ("test", "test-oldest", "test-newest")
    }
    assert pythons["test"] == declared
    assert PROJECT["requires-python"] == f">={declared[0]}"
    assert pythons["test-oldest"] == declared[:1]
    assert pythons["test-newest"] == declared[-1:]


def test_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = re.findall(r"^([\w -]+):(?!=)", makefile, flags=re.MULTILINE)
    used = {row["target"] for row in matrix_rows()}
    for job in jobs():
        for step in job.get("steps", []):
            used |= set(re.findall(r"\bmake ([\w-]+)", step.get("run", "")))
    assert {"lint", "docs", "test"} <= used
    assert used <= set(" ".join(rules).split())


def test_hooks_have_the_versions_of_the_constraints():
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    revisions = {
        Path(repository["repo"]).name: repository.get("rev")
        for repository in load(ROOT / ".pre-commit-config.yaml")["repos"]
    }
    assert f"ruff=={revisions['ruff-pre-commit'].removeprefix('v')}" in pins
    assert f"check-jsonschema=={revisions['check-jsonschema']}" in pins
