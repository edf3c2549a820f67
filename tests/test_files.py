"""Test atomic writing: complete files, any name, unchanged permissions."""

import os
import stat

import pytest

from sklearn_elmodes._files import write_atomically


def test_permissions_are_kept(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    other = tmp_path / "new"
    write_atomically(other, b"")
    plain = tmp_path / "plain"
    plain.touch()
    assert other.stat().st_mode == plain.stat().st_mode


def test_the_longest_names_are_written(tmp_path):
    path = tmp_path / ("x" * 255)
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"


def test_no_file_is_left_if_the_check_fails(tmp_path):
    def fail(path):
        assert path.read_bytes() == b"new"
        raise ValueError("unreadable")

    with pytest.raises(ValueError, match="unreadable"):
        write_atomically(tmp_path / "file", b"new", check=fail)
    assert os.listdir(tmp_path) == []
