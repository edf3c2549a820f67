"""Predict every candidate of a large space, and keep the best."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes._files import write_atomically
from sklearn_elmodes._symmetry import permutation_group
from sklearn_elmodes._validation import shown
from sklearn_elmodes.candidates import (
    Candidates,
    CandidatesShard,
    SiteCandidates,
    read_elements,
)
from sklearn_elmodes.elements import ATOMIC_NUMBERS
from sklearn_elmodes.formulas import RowError
from sklearn_elmodes.occupations import contained_elements, rows_of_equal_length

if TYPE_CHECKING:
    import pandas as pd

_MANIFEST = "_screening.json"  # readers of a folder of Parquet files pass over a leading _
_FORMAT = 2
_RESULTS = ("candidate", "predicted", "std", "distance", "score")
_PROBES = 64  # candidates by whose predictions a model is recognised


def screen(
    estimator: Any,
    candidates: Any,
    k: int = 100,
    *,
    objective: str | Callable[[pd.DataFrame], Any] = "min",
    return_std: bool = False,
    max_std: float | None = None,
    exclude_elements: Sequence[str] = (),
    X_train: Any = None,
    max_distance: float | None = None,
    output: Any = None,
    batch_size: int = 65_536,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Predict all candidates in batches, and return the best.

    Memory is bounded by the batches, however many candidates there are. With
    ``output`` every prediction is kept in Parquet files, and a run that was
    killed goes on where it stopped when it is called again.

    Parameters
    ----------
    estimator : estimator
        Fitted, with ``predict``: a pipeline that begins with an
        :class:`ElementalModeTransformer`, or anything else that reads the
        candidates.
    candidates : Candidates, DataFrame or sequence
        What to predict: a space from :meth:`Prototype.candidates` or
        :class:`~sklearn_elmodes.candidates.FormulaCandidates`, or a column of
        formulas, or rows of species. It needs a length and slices.
    k : int, default=100
        How many to return.
    objective : {"min", "max"} or callable, default="min"
        Which are best: those of lowest or highest prediction; or a function of
        a DataFrame with a column for each site (or "formula"), "predicted" and,
        where asked for, "std" and "distance", which returns one number for
        each row, best the lowest. With ``n_jobs`` it runs in other processes.
    return_std : bool, default=False
        Also predict the std; ``estimator.predict`` must take ``return_std``.
    max_std : float, default=None
        Leave candidates of a larger std out of the best. Implies ``return_std``.
    exclude_elements : sequence of str, default=()
        Candidates with one of these elements are neither predicted nor counted
        among the best.
    X_train : array-like of shape (n_train,) or (n_train, n_sites), default=None
        Rows on which the estimator was trained. With them each candidate gets
        its distance from the nearest of them: Euclidean, between the features
        that enter the last step of the pipeline (elemental modes), under the
        best exchange of equivalent sites. It costs about as much as
        the predictions do.
    max_distance : float, default=None
        Leave candidates further away than this out of the best; needs ``X_train``.
    output : path-like, default=None
        Folder for all predictions, a Parquet file for each batch; needs
        pyarrow. It holds the candidates' numbers as "candidate" and the columns
        that ``objective`` sees. If it already holds part of the same screening,
        that part is read instead of computed; ``k``, ``objective``,
        ``max_std`` and ``max_distance`` may differ.
    batch_size : int, default=65536
        Candidates that are predicted together, and stand in one file.
    n_jobs : int, default=None
        Number of processes; None means 1, or what a
        ``joblib.parallel_config`` says. One process already uses all cores.
    verbose : int, default=0
        Show a progress bar if positive.

    Returns
    -------
    DataFrame of shape (at most k, …)
        The best first, indexed by "candidate", the position in ``candidates``:
        a column for each site or "formula", then "predicted", "std",
        "distance" and "score" (of a callable objective) as asked for. Of equal
        candidates the first wins.

    Raises
    ------
    ValueError
        If a parameter is out of range, a candidate cannot be read or predicted, or
        ``output`` holds something else: another space, model or batch size.
    ImportError
        If ``output`` is given and pyarrow is absent.

    Examples
    --------
    >>> from sklearn_elmodes import Prototype, load_pretrained, screen
    >>> fluorides = Prototype("ABC2D6").candidates(
    ...     {"A": ["Li", "Na"], "B": ["Al", "Ga"], "C": ["K", "Rb", "Cs"], "D": ["F"]})
    >>> best = screen(load_pretrained("elpasolites"), fluorides, k=2, return_std=True)
    >>> best[["A", "B", "C", "D"]].agg("".join, axis=1).tolist()
    ['NaAlCsF', 'NaAlRbF']
    """
    for name, value in (("k", k), ("batch_size", batch_size)):
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name}={shown(value)} must be a positive integer.")
    if not callable(objective) and objective not in ("min", "max"):
        raise ValueError(f"objective={shown(objective)} must be 'min', 'max' or a callable.")
    if max_distance is not None and X_train is None:
        raise ValueError("max_distance needs the rows on which the estimator was trained: X_train.")
    for name, most in (("max_std", max_std), ("max_distance", max_distance)):
        if most is not None and (not isinstance(most, Real) or np.isnan(most)):
            raise ValueError(f"{name}={shown(most)} must be a number or None.")
    check_is_fitted(estimator)
    avoided = read_elements(exclude_elements, "exclude_elements").tolist()
    job = _Screening(
        estimator,
        _columns(estimator, candidates),
        k=int(k),
        objective=objective,
        return_std=bool(return_std or max_std is not None),
        max_std=max_std,
        avoided=avoided,
        neighbours=None if X_train is None else _Neighbours(estimator, X_train),
        max_distance=max_distance,
        keep_all=output is not None,
    )
    _check_space(estimator, candidates, avoided)
    if output is None:
        return _run(job, candidates, None, int(batch_size), n_jobs, verbose)
    with _Shards(Path(output), job, candidates, int(batch_size)) as shards:
        return _run(job, candidates, shards, int(batch_size), n_jobs, verbose)


def _run(
    job: _Screening,
    candidates: Any,
    shards: _Shards | None,
    batch_size: int,
    n_jobs: int | None,
    verbose: int,
) -> pd.DataFrame:
    """Predict what is not there yet, and merge the best of all batches."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    total = len(candidates)
    best = job(0, _part(candidates, 0, 0))[2]
    starts = []
    with tqdm(
        total=total, desc="Screening", unit=" candidates", unit_scale=True, disable=not verbose
    ) as bar:
        for start in range(0, total, batch_size):
            finished = None if shards is None else shards.read(start)
            if finished is None:
                starts.append(start)
            else:
                best = job.merge(best, job.best(finished))
                bar.update(min(batch_size, total - start))
        # Results come as they are ready, so that no batch waits in memory for another.
        results: Iterator[tuple[int, Any, pd.DataFrame]] = Parallel(
            n_jobs=n_jobs, return_as="generator_unordered"
        )(delayed(job)(start, _part(candidates, start, start + batch_size)) for start in starts)
        for start, predicted, own_best in results:
            if shards is not None:
                shards.write(start, predicted)
            best = job.merge(best, own_best)
            bar.update(min(batch_size, total - start))
    return best.drop(columns="score") if isinstance(job.objective, str) else best


@dataclass(frozen=True)
class _Batch:
    """Candidates, by position and as they are, and what was computed for them."""

    positions: NDArray[np.intp]
    rows: NDArray[Any]
    values: dict[str, NDArray[np.float64]]


@dataclass(eq=False)  # joblib on dask wants its tasks hashable
class _Screening:
    """What is predicted and how: all that another process needs."""

    estimator: Any
    columns: list[str]
    k: int
    objective: Any
    return_std: bool
    max_std: float | None
    avoided: list[int]
    neighbours: _Neighbours | None
    max_distance: float | None
    keep_all: bool

    @property
    def value_names(self) -> list[str]:
        """Names of what is computed for each candidate."""
        distance = ["distance"] * (self.neighbours is not None)
        return ["predicted", *["std"] * self.return_std, *distance]

    def __call__(self, start: int, part: Any) -> tuple[int, _Batch | None, pd.DataFrame]:
        """Predict a batch; return the predictions where they are kept, and the best."""
        positions, rows = self.wanted(start, part)
        batch = _Batch(positions, rows, self.predict(positions, rows))
        return start, batch if self.keep_all else None, self.best(batch)

    def wanted(self, start: int, part: Any) -> tuple[NDArray[np.intp], NDArray[Any]]:
        """Return the candidates of a part that begins at ``start``, without those to avoid."""
        try:
            rows = _rows(part)
            positions = np.arange(start, start + len(rows))
            if not self.avoided or not len(rows):
                return positions, rows
            contained = contained_elements(rows)
        except RowError as error:
            raise RowError(start + error.row, error.args[1]) from None
        kept = ~contained[:, np.array(self.avoided) - 1].any(axis=1)
        return positions[kept], rows[kept]

    def predict(
        self, positions: NDArray[np.intp], rows: NDArray[Any]
    ) -> dict[str, NDArray[np.float64]]:
        """Compute what ``value_names`` lists for candidates."""
        if not len(rows):
            return dict.fromkeys(self.value_names, np.zeros(0))
        values: dict[str, NDArray[np.float64]] = {}
        X = self.named(rows)
        try:
            if self.return_std:
                values["predicted"], values["std"] = self.estimator.predict(X, return_std=True)
            else:
                values["predicted"] = self.estimator.predict(X)
            if self.neighbours is not None:
                values["distance"] = self.neighbours.distances(X)
        except RowError as error:
            raise RowError(int(positions[error.row]), error.args[1]) from None
        except TypeError as error:
            if "return_std" not in str(error):
                raise
            raise ValueError(
                "return_std and max_std need an estimator whose predict takes return_std: "
                f"{type(_step(self.estimator, -1)).__name__} does not."
            ) from error
        for name, numbers in values.items():
            values[name] = numbers = np.asarray(numbers, dtype=np.float64)
            if numbers.shape != positions.shape:
                raise ValueError(
                    f"The estimator gave a result of shape {numbers.shape} for {len(rows)} "
                    "candidates; one number for each is needed."
                )
            if not np.isfinite(numbers).all():
                row = int(np.flatnonzero(~np.isfinite(numbers))[0])
                raise ValueError(
                    f"Candidate {positions[row]}, {_shown_row(rows[row])}, has the {name} value "
                    f"{numbers[row]}."
                )
        return values

    def named(self, rows: NDArray[Any]) -> Any:
        """Give the columns the names that the estimator was fitted with, if any."""
        import pandas as pd

        names = getattr(self.estimator, "feature_names_in_", None)
        if names is None or len(names) != len(self.columns):
            return rows
        return pd.DataFrame(rows.reshape(len(rows), len(self.columns)), columns=names)

    def frame(self, batch: _Batch, chosen: NDArray[np.intp]) -> pd.DataFrame:
        """Make the table that the user sees."""
        import pandas as pd

        species = batch.rows[chosen].reshape(len(chosen), len(self.columns)).astype(object)
        table = dict(zip(self.columns, species.T, strict=True))
        table |= {name: numbers[chosen] for name, numbers in batch.values.items()}
        return pd.DataFrame(table, index=pd.Index(batch.positions[chosen], name="candidate"))

    def best(self, batch: _Batch) -> pd.DataFrame:
        """Choose the best of a batch."""
        allowed = np.ones(len(batch.positions), dtype=bool)
        for name, most in (("std", self.max_std), ("distance", self.max_distance)):
            if most is not None:
                allowed &= batch.values[name] <= most
        chosen = np.flatnonzero(allowed)
        if isinstance(self.objective, str):
            score = batch.values["predicted"][chosen] * (1 if self.objective == "min" else -1)
        elif not len(chosen):
            score = np.zeros(0)
        else:
            score = np.asarray(self.objective(self.frame(batch, chosen)), dtype=np.float64)
            if score.shape != chosen.shape:
                raise ValueError(
                    f"The objective returned a result of shape {score.shape} for {len(chosen)} "
                    "candidates; it must return one number for each."
                )
            if np.isnan(score).any():
                row = chosen[np.flatnonzero(np.isnan(score))[0]]
                raise ValueError(f"The objective of candidate {batch.positions[row]} is NaN.")
        order = np.argsort(score, kind="stable")[: self.k]  # of equal ones the first
        return self.frame(batch, chosen[order]).assign(score=score[order])

    def merge(self, *parts: pd.DataFrame) -> pd.DataFrame:
        """Choose the best of several choices."""
        import pandas as pd

        filled = [part for part in parts if len(part)]
        if not filled:
            return parts[0]
        both = pd.concat(filled)
        return both.iloc[np.lexsort((both.index, both["score"]))[: self.k]]


class _Neighbours:
    """Distances from the training rows in the space of the features."""

    def __init__(self, estimator: Any, X_train: Any) -> None:
        import pandas as pd
        from sklearn.neighbors import NearestNeighbors

        if not hasattr(estimator, "steps") or len(estimator.steps) < 2:
            raise ValueError("Distances from the training rows need a pipeline with a transformer.")
        first, between = estimator[0], estimator[1:-1]
        prototype = getattr(first, "prototype_", None)
        aligned = prototype is not None or getattr(first, "pooling", "statistics") is not None
        if not aligned:
            # The elements of two formulas do not line up; statistics over them do.
            first = copy(first).set_params(pooling="statistics")
        try:
            features = first.transform(X_train)
        except RowError as error:
            raise ValueError(f"X_train: {error}") from None
        if not aligned:
            between = make_pipeline(StandardScaler().fit(features))
        self.transform = make_pipeline(first, *(step for _, step in between.steps)).transform
        if prototype is not None:
            n_sites, groups = prototype.n_sites, prototype.equivalent_site_indices
            columns = np.arange(features.shape[1]).reshape(n_sites, -1)
            orders = permutation_group(n_sites, groups)
            moved = [np.asarray(features)[:, columns[list(order)].ravel()] for order in orders]
            names = getattr(features, "columns", None)
            features = np.concatenate(moved)
            if names is not None:
                features = pd.DataFrame(features, columns=names)
        if between.steps:
            features = between.transform(features)
        self.nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(features)

    def distances(self, X: Any) -> NDArray[np.float64]:
        """Return the distance of each row from the nearest training row."""
        return np.asarray(self.nearest.kneighbors(self.transform(X))[0][:, 0])


class _Shards:
    """A folder with one Parquet file for each batch, and what tells whose it is."""

    def __init__(self, folder: Path, job: _Screening, candidates: Any, batch_size: int) -> None:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "Keeping all predictions needs pyarrow: pip install 'sklearn-elmodes[screen]'"
            ) from error
        self.folder = folder
        self.job = job
        self.candidates = candidates
        self.batch_size = batch_size

    def __enter__(self) -> _Shards:
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in self.folder.iterdir() if path.name[0] != "."}
        if names and _MANIFEST not in names:
            raise ValueError(f"{self.folder} holds other files; choose an empty folder.")
        self.lock = FileLock(self.folder / ".lock")
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(f"Another process is writing to {self.folder}.") from None
        try:
            self._check_manifest()
        except BaseException:
            self.lock.release()
            raise
        return self

    def __exit__(self, *exception: Any) -> None:
        self.lock.release()

    def path(self, start: int) -> Path:
        """Return the file of the batch that begins at ``start``."""
        return self.folder / f"part-{start // self.batch_size:06d}.parquet"

    def _check_manifest(self) -> None:
        """Write what is screened and by what, or compare it with what is there."""
        probe = self._probe()
        own: dict[str, Any] = {
            "format": _FORMAT,
            "n_candidates": len(self.candidates),
            "batch_size": self.batch_size,
            "columns": [*self.job.columns, *self.job.value_names],
            "exclude_elements": sorted(self.job.avoided),
            "probe": probe,
        }
        path = self.folder / _MANIFEST
        if not path.exists():
            write_atomically(path, (json.dumps(own, indent=1) + "\n").encode())
            return
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
            differing = [name for name in own if name != "probe" and there[name] != own[name]]
            if there["probe"]["candidates"] != probe["candidates"]:
                differing.append("candidates")
            for name in self.job.value_names if not differing and probe["candidates"] else ():
                # The same model on another machine differs in the last digits.
                written, own_values = np.array(there["probe"][name], float), np.array(probe[name])
                tolerance = 1e-4 * np.ptp(own_values) + 1e-6 * np.abs(own_values).max()
                if not np.allclose(written, own_values, rtol=0, atol=tolerance):
                    differing.append(f"values of {name}: another model or training set")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no record of a screening: {error!r:.200}") from error
        if differing:
            raise ValueError(
                f"{self.folder} belongs to another screening; it differs in "
                f"{', '.join(differing)}. Choose another folder, or delete this one."
            )

    def _probe(self) -> dict[str, list[Any]]:
        """Predict a few candidates, spread over the space, to recognise space and model."""
        total = len(self.candidates)
        chosen = np.unique(np.linspace(0, max(total - 1, 0), _PROBES).astype(int)).tolist()
        wanted = [self.job.wanted(i, _part(self.candidates, i, i + 1)) for i in chosen]
        positions, rows = (np.concatenate(parts) for parts in zip(*wanted, strict=True))
        values = self.job.predict(positions, rows)
        species = self._as_text(rows).tolist()
        return {
            "candidates": [[n, *s] for n, s in zip(positions.tolist(), species, strict=True)],
            **{name: numbers.tolist() for name, numbers in values.items()},
        }

    def write(self, start: int, batch: _Batch) -> None:
        """Write the file of a batch, whole or not at all."""
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
        pq.write_table(table, content, compression="zstd")
        write_atomically(self.path(start), content.getvalue())

    def _as_text(self, rows: NDArray[Any]) -> NDArray[np.str_]:
        if rows.dtype.kind != "U":  # NumPy would take compositions apart
            rows = np.array([str(species) for species in rows.ravel().tolist()], dtype=str)
        return rows.reshape(-1, len(self.job.columns))

    def read(self, start: int) -> _Batch | None:
        """Read the file of a batch; None if it is not there, or damaged."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(start)
        if not path.exists():
            return None
        try:
            frame = pq.ParquetFile(path).read().to_pandas().set_index("candidate")
            if list(frame.columns) != [*self.job.columns, *self.job.value_names]:
                raise ValueError("it has other columns")
            values = {name: frame[name].to_numpy(np.float64) for name in self.job.value_names}
            if not all(np.isfinite(numbers).all() for numbers in values.values()):
                raise ValueError("it holds values that are no numbers")
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            warnings.warn(f"{path} is damaged and is written again: {error!s:.200}", stacklevel=4)
            return None
        part = _part(self.candidates, start, start + self.batch_size)
        positions, rows = self.job.wanted(start, part)
        written = frame[self.job.columns].to_numpy().astype(str)
        if not np.array_equal(frame.index, positions) or not np.array_equal(
            self._as_text(rows), written
        ):
            raise ValueError(f"{path} belongs to another screening: its candidates differ.")
        return _Batch(positions, rows, values)


def _columns(estimator: Any, candidates: Any) -> list[str]:
    """Name the columns of a table of candidates."""
    sliceable = hasattr(candidates, "__len__") and hasattr(candidates, "__getitem__")
    if not sliceable or isinstance(candidates, (str, bytes, Mapping)):
        raise ValueError(f"candidates must have a length and slices, got {shown(candidates)}.")
    rows = _rows(_part(candidates, 0, 1))
    n_columns = rows.shape[1] if rows.ndim == 2 else 1
    names: Any = getattr(candidates, "columns", None)
    sites = getattr(getattr(_step(estimator, 0), "prototype_", None), "sites", ())
    if names is None:
        names = ["formula"] if n_columns == 1 != len(sites) else sites
    if len(names) != n_columns:
        names = [f"site_{number}" for number in range(1, n_columns + 1)]
    taken = [name for name in map(str, names) if name in _RESULTS]
    if taken:
        raise ValueError(f"candidates has a column {taken[0]!r}, the name of a result; rename it.")
    return list(map(str, names))


def _part(candidates: Any, start: int, stop: int) -> Any:
    """Cut out candidates; of a space without working them out."""
    stop = min(stop, len(candidates))
    if isinstance(candidates, (Candidates, CandidatesShard)):
        part = CandidatesShard(candidates, start, stop)
        # A filtered space is long to write down; a batch of it is not.
        return part.to_numpy() if part.space.is_filtered() else part
    return getattr(candidates, "iloc", candidates)[start:stop]


def _rows(part: Any) -> NDArray[Any]:
    """Turn candidates into an array: of one dimension, or with a column for each site."""
    if hasattr(part, "to_numpy"):
        rows = part.to_numpy()
    elif isinstance(part, np.ndarray):
        rows = part
    elif len(part) and isinstance(part[0], (list, tuple, np.ndarray)):
        rows = rows_of_equal_length(part)
    else:  # formulas, mappings or compositions, which NumPy must not take apart
        rows = np.fromiter(part, dtype=object, count=len(part))
    return rows[:, 0] if rows.ndim == 2 and rows.shape[1] == 1 else rows


def _check_space(estimator: Any, candidates: Any, avoided: list[int]) -> None:
    """Refuse a space that the model cannot read before hours are spent on it."""
    space = candidates.space if isinstance(candidates, CandidatesShard) else candidates
    first = _step(estimator, 0)
    prototype = getattr(first, "prototype_", None)
    if (
        isinstance(space, SiteCandidates)
        and prototype is not None
        and space.multiplicities != prototype.multiplicities
    ):
        raise ValueError(
            f"The candidates have {space.multiplicities} atoms on their sites, and the model was "
            f"trained for {prototype.formula}."
        )
    modes = getattr(first, "modes_", None)
    if modes is None or not isinstance(space, Candidates):
        return
    missing = [
        symbol
        for symbol in space.elements
        if symbol not in modes.index and ATOMIC_NUMBERS[symbol] not in avoided
    ]
    if missing:
        raise ValueError(
            f"The candidates contain {', '.join(missing)}, for which the model has no modes: "
            "leave them out, or name them in exclude_elements."
        )


def _step(estimator: Any, place: int) -> Any:
    """Return a step of a pipeline, or what is no pipeline itself."""
    return estimator.steps[place][1] if hasattr(estimator, "steps") else estimator


def _shown_row(row: Any) -> str:
    return " ".join(map(str, row)) if isinstance(row, np.ndarray) else str(row)
