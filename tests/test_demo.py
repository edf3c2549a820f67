"""Single parts of the demonstration."""

import pytest
from click.testing import CliRunner

from sklearn_elmodes.cli import main


def run_demo(*options):
    return CliRunner().invoke(main, ["demo", "--quick", *options])


def test_a_part_runs_alone(tmp_path):
    result = run_demo("--part", "3", "-o", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert "3. Elpasolites" in result.output
    assert "1. Modes" not in result.output
    assert "2. Measured" not in result.output
    assert "Tables and figures" not in result.output
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("part", ["0", "4", "modes"])
def test_other_parts_are_refused(part):
    result = run_demo("--part", part)
    assert result.exit_code == 2
    assert f"Invalid value for '--part': '{part}' is not one of '1', '2', '3'." in result.output
