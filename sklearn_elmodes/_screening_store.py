"""Predictions of a screening on disk, one Parquet file per batch."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._files import write_atomically
from sklearn_elmodes.candidates import Candidates, CandidatesShard

# In the format of sha256sum, so that "sha256sum -c" can check a folder.
_CHECKSUMS = "_checksums.sha256"
_MARK = b"sklearn_elmodes.screening"  # in every part
_MANIFEST = "_screening.json"  # readers of Parquet folders skip names with a leading _
_FORMAT = 3
_PROBES = 64  # candidates whose predictions identify a model


@dataclass(frozen=True)
class Batch:
    """Candidates of one batch, their positions and the values computed for them."""

    positions: NDArray[np.intp]
    rows: NDArray[Any]
    values: dict[str, NDArray[np.float64]]


class Job(Protocol):
    """Interface of the computation that a store saves."""

    columns: list[str]
    excluded: list[int]

    @property
    def value_names(self) -> list[str]:
        """Names of the computed columns."""

    def wanted(self, start: int, part: Any) -> tuple[NDArray[np.intp], NDArray[Any]]:
        """Return positions and rows of the candidates of a part that are to be predicted."""

    def predict(
        self, positions: NDArray[np.intp], rows: NDArray[Any]
    ) -> dict[str, NDArray[np.float64]]:
        """Compute the columns ``value_names``."""


class Store:
    """Folder with one Parquet file per batch and a manifest that identifies the screening."""

    def __init__(
        self,
        folder: Path,
        job: Job,
        candidates: Any,
        batch_size: int,
        identity: dict[str, str],
    ) -> None:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "Writing predictions requires pyarrow: pip install 'sklearn-elmodes[screen]'"
            ) from error
        self.folder = folder
        self.job = job
        self.candidates = candidates
        self.batch_size = batch_size
        self.identity = identity  # hashes of the model and its training set

    def __enter__(self) -> Store:
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in self.folder.iterdir() if path.name[0] != "."}
        if names and _MANIFEST not in names:
            raise ValueError(f"{self.folder} contains other files; choose an empty folder.")
        self.lock = FileLock(self.folder / ".lock")
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(f"Another process is writing to {self.folder}.") from None
        try:
            self._check_manifest()
            self.checksums = self._checksums()
        except BaseException:
            self.lock.release()
            raise
        return self

    def __exit__(self, *exception: Any) -> None:
        self.lock.release()

    def path(self, start: int) -> Path:
        """Return the path of the batch that begins at ``start``."""
        return self.folder / f"part-{start // self.batch_size:06d}.parquet"

    def _check_manifest(self) -> None:
        """Write the manifest, or compare it with the one in the folder."""
        probe = self._probe()
        own: dict[str, Any] = {
            "format": _FORMAT,
            "n_candidates": len(self.candidates),
            "batch_size": self.batch_size,
            "columns": [*self.job.columns, *self.job.value_names],
            "exclude_elements": sorted(self.job.excluded),
            "identity": self.identity,
            "probe": probe,
        }
        path = self.folder / _MANIFEST
        if not path.exists():
            write_atomically(path, (json.dumps(own, indent=1) + "\n").encode())
            return
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
            compared = [name for name in own if name not in ("identity", "probe")]
            differing = [name for name in compared if there[name] != own[name]]
            if there["probe"]["candidates"] != probe["candidates"]:
                differing.append("candidates")
            for name in self.job.value_names if not differing and probe["candidates"] else ():
                # Predictions of the same model differ in the last digits between machines.
                written, own_values = np.array(there["probe"][name], float), np.array(probe[name])
                tolerance = 1e-4 * np.ptp(own_values) + 1e-6 * np.abs(own_values).max()
                if not np.allclose(written, own_values, rtol=0, atol=tolerance):
                    differing.append(f"values of {name}: another model or training set")
            # The probes identify steps of other packages; all others are compared exactly.
            written_identity = dict(there.get("identity", {}))
            names = [*self.identity, *(n for n in written_identity if n not in self.identity)]
            differing += [n for n in names if written_identity.get(n) != self.identity.get(n)]
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not a screening manifest: {error!r:.200}") from error
        if differing:
            raise ValueError(
                f"{self.folder} belongs to another screening; it differs in "
                f"{', '.join(differing)}. Choose another folder, or delete this one."
            )

    def _probe(self) -> dict[str, list[Any]]:
        """Predict a few candidates throughout the space, to identify space and model."""
        total = len(self.candidates)
        chosen = np.unique(np.linspace(0, max(total - 1, 0), _PROBES).astype(int)).tolist()
        wanted = [self.job.wanted(i, part_of(self.candidates, i, i + 1)) for i in chosen]
        positions, rows = (np.concatenate(parts) for parts in zip(*wanted, strict=True))
        values = self.job.predict(positions, rows)
        species = self._as_text(rows).tolist()
        return {
            "candidates": [[n, *s] for n, s in zip(positions.tolist(), species, strict=True)],
            **{name: numbers.tolist() for name, numbers in values.items()},
        }

    def write(self, start: int, batch: Batch) -> None:
        """Write the file of a batch atomically."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        species = self._as_text(batch.rows)
        columns = [
            pa.array(batch.positions),
            *(pa.array(column, pa.string()) for column in species.T),
            *(pa.array(batch.values[name]) for name in self.job.value_names),
        ]
        content = io.BytesIO()
        table = pa.table(columns, ["candidate", *self.job.columns, *self.job.value_names])
        table = table.replace_schema_metadata({_MARK: _MARK})
        pq.write_table(table, content, compression="zstd")
        path = self.path(start)
        # The checksum first, so that a run that is killed in between leaves no part without one.
        line = f"{_checksum(content.getvalue())}  {path.name}\n".encode()
        with (self.folder / _CHECKSUMS).open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a run was killed within a line
                    line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        write_atomically(path, content.getvalue())

    def _checksums(self) -> dict[str, str]:
        """Read the checksum of each part; the last line of a part counts."""
        path = self.folder / _CHECKSUMS
        lines = path.read_bytes().decode(errors="replace").splitlines() if path.exists() else []
        return {name: checksum for checksum, _, name in (line.partition("  ") for line in lines)}

    def _as_text(self, rows: NDArray[Any]) -> NDArray[np.str_]:
        if rows.dtype.kind != "U":  # convert one by one: NumPy would take compositions apart
            rows = np.array([str(species) for species in rows.ravel().tolist()], dtype=str)
        return rows.reshape(-1, len(self.job.columns))

    def read(self, start: int) -> Batch | None:
        """Read the file of a batch; return None if it is missing or corrupted."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(start)
        if not path.exists():
            return None
        try:
            content = path.read_bytes()
            checksum = _checksum(content)
            intact = self.checksums.get(path.name) == checksum
            # Foreign files and renamed parts raise an error below.
            if not intact and _MARK in content and checksum not in self.checksums.values():
                raise ValueError("wrong checksum")
            frame = pq.ParquetFile(io.BytesIO(content)).read().to_pandas().set_index("candidate")
            if list(frame.columns) != [*self.job.columns, *self.job.value_names]:
                raise ValueError("unexpected columns")
            values = {name: frame[name].to_numpy(np.float64) for name in self.job.value_names}
            if not all(np.isfinite(numbers).all() for numbers in values.values()):
                raise ValueError("values that are not finite")
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            warnings.warn(f"{path} is corrupted and is rewritten: {error!s:.200}", stacklevel=4)
            return None
        part = part_of(self.candidates, start, start + self.batch_size)
        positions, rows = self.job.wanted(start, part)
        written = frame[self.job.columns].to_numpy().astype(str)
        if not np.array_equal(frame.index, positions) or not np.array_equal(
            self._as_text(rows), written
        ):
            raise ValueError(f"{path} belongs to another screening: its candidates differ.")
        if not intact:
            warnings.warn(f"{path} has no checksum and is rewritten.", stacklevel=4)
            return None
        return Batch(positions, rows, values)


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def part_of(candidates: Any, start: int, stop: int) -> Any:
    """Return the candidates ``start`` to ``stop - 1``; those of a space are not generated yet."""
    stop = min(stop, len(candidates))
    if isinstance(candidates, (Candidates, CandidatesShard)):
        part = CandidatesShard(candidates, start, stop)
        # The mask of a filtered space is large, a batch of its candidates is not.
        return part.to_numpy() if part.space.is_filtered() else part
    return getattr(candidates, "iloc", candidates)[start:stop]
