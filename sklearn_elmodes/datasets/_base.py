"""Helpers shared by the datasets: bunches, descriptions and verified downloads."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pooch
import requests
from filelock import FileLock
from numpy.typing import NDArray
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch


def make_bunch(
    name: str,
    data: NDArray[Any],
    target: NDArray[np.float64],
    feature_names: list[str],
    target_name: str,
    *,
    return_X_y: bool,
    as_frame: bool,
) -> Any:
    """Return a dataset in the same form as scikit-learn's loaders."""
    frame = None
    X: Any = data
    y: Any = target
    if as_frame:
        X = pd.DataFrame(data.reshape(len(data), -1), columns=feature_names)
        y = pd.Series(target, name=target_name)
        frame = X.assign(**{target_name: y})
    if return_X_y:
        return X, y
    description = files("sklearn_elmodes.datasets").joinpath("descr", f"{name}.rst")
    return Bunch(
        data=X,
        target=y,
        frame=frame,
        feature_names=feature_names,
        target_names=[target_name],
        DESCR=description.read_text(encoding="utf-8"),
    )


def fetch_file(
    url: str,
    sha256: str,
    folder: str,
    *,
    data_home: str | os.PathLike[str] | None,
    download_if_missing: bool,
    max_bytes: int,
) -> Path:
    """Return the path of a file with the given checksum, downloading it if necessary.

    An interrupted download is resumed. The file gets its name only after the checksum
    was verified, and is then not downloaded again.

    Raises
    ------
    OSError
        If the file is missing and ``download_if_missing=False``, or cannot be downloaded.
    ValueError
        If the downloaded file has another checksum or is larger than ``max_bytes``.
    """
    directory = Path(get_data_home(data_home)) / folder
    path = directory / url.rsplit("/", 1)[-1]
    if _verifies(path, sha256):
        return path
    if not download_if_missing:
        raise OSError(
            f"{path} is missing or has the wrong checksum, and is not downloaded because "
            "download_if_missing=False."
        )
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if _verifies(path, sha256):  # another process was faster
            return path
        partial = path.with_name(f"{path.name}.part")
        pooch.get_logger().setLevel("WARNING")
        try:
            pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}",
                fname=path.name,
                path=directory,
                downloader=_ResumingDownloader(partial, max_bytes),
            )
        except ValueError as error:
            partial.unlink(missing_ok=True)
            raise ValueError(f"The download of {url} is not the expected file: {error}") from error
        partial.unlink(missing_ok=True)
    return path


def _verifies(path: Path, sha256: str) -> bool:
    return path.is_file() and pooch.file_hash(str(path)) == sha256


class _ResumingDownloader:
    """A pooch downloader that resumes an interrupted download."""

    def __init__(self, partial: Path, max_bytes: int) -> None:
        self.partial = partial
        self.max_bytes = max_bytes

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        done = self.partial.stat().st_size if self.partial.exists() else 0
        headers = {"Range": f"bytes={done}-", "Accept-Encoding": "identity"} if done else {}
        with requests.get(url, headers=headers, stream=True, timeout=30) as response:
            if response.status_code == 416:  # the partial file is complete
                chunks: Any = ()
            else:
                response.raise_for_status()
                chunks = response.iter_content(1 << 13)
                if response.status_code != 206:  # the server sends the whole file
                    done = 0
            with self.partial.open("ab" if done else "wb") as file:
                for chunk in chunks:
                    done += len(chunk)
                    if done > self.max_bytes:
                        raise ValueError(f"it is larger than {self.max_bytes} bytes.")
                    file.write(chunk)
        Path(output_file).write_bytes(self.partial.read_bytes())
