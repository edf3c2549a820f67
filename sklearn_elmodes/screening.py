"""Screening: predict all candidates of a large space and keep the best."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes._inputs import contained_elements, fingerprint
from sklearn_elmodes._screening_store import Batch, Store, part_of
from sklearn_elmodes._validation import shown
from sklearn_elmodes.applicability import TrainingDistance
from sklearn_elmodes.candidates import (
    Candidates,
    CandidatesShard,
    SiteCandidates,
    _read_elements,
)
from sklearn_elmodes.elements import ATOMIC_NUMBERS
from sklearn_elmodes.exceptions import RowError
from sklearn_elmodes.occupations import _as_matrix
from sklearn_elmodes.persistence import _fingerprint_steps
from sklearn_elmodes.stability import CompetingPhases, write_mixture
from sklearn_elmodes.transformer import ElementalModeTransformer

if TYPE_CHECKING:
    import pandas as pd

_RESULTS = (
    *("candidate", "predicted", "std", "distance", "decomposition_energy", "products"),
    "score",
)
# The column that is minimised, and the sign that it is multiplied with.
_OBJECTIVES = {
    "min": ("predicted", 1),
    "max": ("predicted", -1),
    "decomposition_energy": ("decomposition_energy", 1),
}


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
    hull: CompetingPhases | None = None,
    max_above_hull: float | None = None,
    output: Any = None,
    batch_size: int = 65_536,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Predict all candidates in batches and return the best.

    Candidates of a space are generated batch by batch, so memory depends on
    ``batch_size``, ``n_jobs`` and ``k``, and on the number of candidates only if the
    space is filtered: by one bit per candidate before filtering. With ``output`` every
    prediction is written to Parquet files, and a run that was interrupted resumes when
    it is started again with the same arguments.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator with ``predict``: a pipeline that starts with an
        :class:`ElementalModeTransformer`, or any other that takes the candidates.
    candidates : Candidates, DataFrame or sequence
        Candidates to predict: a space from :meth:`Prototype.candidates` or
        :class:`~sklearn_elmodes.candidates.FormulaCandidates`, a column of
        formulas, or rows of species. It must have a length and support slicing.
    k : int, default=100
        Number of candidates to return.
    objective : {"min", "max", "decomposition_energy"} or callable, default="min"
        "min" and "max" return the candidates with the lowest or highest prediction,
        "decomposition_energy" those with the lowest energy relative to ``hull``. A
        callable is called with a DataFrame with one column per site (or "formula"),
        "predicted" and, if computed, "std", "distance" and "decomposition_energy", and
        returns one score per row; the lowest score is best. With ``n_jobs`` it runs in
        other processes.
    return_std : bool, default=False
        Whether to predict the standard deviation as well; ``estimator.predict``
        must take ``return_std``.
    max_std : float, default=None
        Do not return candidates with a larger standard deviation. Implies
        ``return_std=True``.
    exclude_elements : sequence of str, default=()
        Skip candidates that contain one of these elements.
    X_train : array-like of shape (n_train,) or (n_train, n_sites), default=None
        Training data of the estimator. If given, the distance of each candidate from
        the nearest training sample is computed, see
        ``sklearn_elmodes.applicability.TrainingDistance``. This takes about as
        long as the predictions.
    max_distance : float, default=None
        Do not return candidates with a larger distance; requires ``X_train``.
    hull : CompetingPhases, default=None
        Phases that the candidates compete with. If given, the energy of each candidate
        relative to all phases of other compositions is computed; the estimator must
        predict formation energies in eV/atom, of the same source.
    max_above_hull : float, default=None
        Do not return candidates with a larger decomposition energy; requires ``hull``.
    output : path-like, default=None
        Folder for all predictions, one Parquet file per batch; requires pyarrow. The
        columns are "candidate", the position of the candidate, and those that
        ``objective`` takes. Batches of the same screening that are already in the
        folder are read instead of computed; ``k``, ``objective``, ``max_std``,
        ``max_distance`` and ``max_above_hull`` may differ. Weights, modes, scalers, training
        rows and hull must be exactly the same; steps of other packages are compared by 64
        predictions.
    batch_size : int, default=65536
        Number of candidates per batch and file.
    n_jobs : int, default=None
        Number of processes; None means 1 unless in a ``joblib.parallel_config``
        context. A single process already uses all cores.
    verbose : int, default=0
        Show a progress bar if positive.

    Returns
    -------
    DataFrame of shape (at most k, n_columns)
        The candidates, best first, indexed by their position in ``candidates``. The
        columns are one per site, or "formula"; "predicted"; "std", "distance" and
        "decomposition_energy" if computed; "products", the phases that the candidate would
        decompose into, with ``hull``; and "score" for a callable objective. Ties are broken
        by position.

    Raises
    ------
    ValueError
        If a parameter is out of range, a candidate cannot be read or predicted, or
        ``output`` contains other files or another screening: another space, model,
        training set or batch size.
    ImportError
        If ``output`` is given and pyarrow is not installed.

    Examples
    --------
    >>> from sklearn_elmodes import Prototype, load_pretrained, screen
    >>> fluorides = Prototype("elpasolite").candidates(
    ...     {"A": ["Li", "Na"], "B": ["Al", "Ga"], "C": ["K", "Rb", "Cs"], "D": ["F"]})
    >>> best = screen(load_pretrained("elpasolites"), fluorides, k=2, return_std=True)
    >>> best[["A", "B", "C", "D"]].agg("".join, axis=1).tolist()
    ['NaAlCsF', 'NaAlRbF']
    """
    for name, value in (("k", k), ("batch_size", batch_size)):
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name}={shown(value)} must be a positive integer.")
    if not callable(objective) and objective not in _OBJECTIVES:
        raise ValueError(
            f"objective={shown(objective)} must be {', '.join(map(repr, _OBJECTIVES))} or a "
            "callable."
        )
    if hull is None and (objective == "decomposition_energy" or max_above_hull is not None):
        raise ValueError("Decomposition energies require the competing phases: pass hull.")
    if max_distance is not None and X_train is None:
        raise ValueError("max_distance requires the training data of the estimator: pass X_train.")
    for name, most in (
        ("max_std", max_std),
        ("max_distance", max_distance),
        ("max_above_hull", max_above_hull),
    ):
        if most is not None and (not isinstance(most, Real) or np.isnan(most)):
            raise ValueError(f"{name}={shown(most)} must be a number or None.")
    check_is_fitted(estimator)
    if hull is not None:
        hull._check_source(estimator)
    excluded = _read_elements(exclude_elements, "exclude_elements").tolist()
    job = _Screening(
        estimator,
        _columns(estimator, candidates),
        k=int(k),
        objective=objective,
        return_std=bool(return_std or max_std is not None),
        max_std=max_std,
        excluded=excluded,
        distance=None if X_train is None else TrainingDistance(estimator, X_train),
        max_distance=max_distance,
        hull=hull,
        max_above_hull=max_above_hull,
        keep_all=output is not None,
    )
    _check_space(estimator, candidates, excluded)
    if output is None:
        return _run(job, candidates, None, int(batch_size), n_jobs, verbose)
    identity = {
        f"step {name!r} of the model": mark for name, mark in _fingerprint_steps(estimator).items()
    }
    if X_train is not None:
        identity["training rows"] = _fingerprint_rows(estimator, X_train)
    if hull is not None:
        identity["hull"] = hull._fingerprint()
    with Store(Path(output), job, candidates, int(batch_size), identity) as store:
        return _run(job, candidates, store, int(batch_size), n_jobs, verbose)


def _run(
    job: _Screening,
    candidates: Any,
    store: Store | None,
    batch_size: int,
    n_jobs: int | None,
    verbose: int,
) -> pd.DataFrame:
    """Predict the batches that are not stored yet, and merge the best of all batches."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    total = len(candidates)
    best = job(0, part_of(candidates, 0, 0))[2]
    # One byte per batch; a list of their starts could be too large.
    missing = np.ones(-(-total // batch_size), dtype=bool)
    with tqdm(
        total=total, desc="Screening", unit=" candidates", unit_scale=True, disable=not verbose
    ) as bar:
        for start in range(0, total, batch_size):
            finished = None if store is None else store.read(start)
            if finished is not None:
                missing[start // batch_size] = False
                best = job.merge(best, job.best(finished))
                bar.update(min(batch_size, total - start))
        # In order of completion, so that no finished batch waits in memory for a slower one.
        results: Iterator[tuple[int, Any, pd.DataFrame]] = Parallel(
            n_jobs=n_jobs, return_as="generator_unordered"
        )(
            delayed(job)(start, part_of(candidates, start, start + batch_size))
            for start in range(0, total, batch_size)
            if missing[start // batch_size]
        )
        for start, predicted, own_best in results:
            if store is not None:
                store.write(start, predicted)
            best = job.merge(best, own_best)
            bar.update(min(batch_size, total - start))
    if job.hull is not None:
        best.insert(list(best.columns).index("score"), "products", job.products(best))
    return best.drop(columns="score") if isinstance(job.objective, str) else best


@dataclass(eq=False)  # joblib's dask backend requires hashable tasks
class _Screening:
    """Parameters and computation of a screening, sent to every process."""

    estimator: Any
    columns: list[str]
    k: int
    objective: Any
    return_std: bool
    max_std: float | None
    excluded: list[int]
    distance: TrainingDistance | None
    max_distance: float | None
    hull: CompetingPhases | None
    max_above_hull: float | None
    keep_all: bool

    @property
    def value_names(self) -> list[str]:
        """Names of the computed columns."""
        distance = ["distance"] * (self.distance is not None)
        above = ["decomposition_energy"] * (self.hull is not None)
        return ["predicted", *["std"] * self.return_std, *distance, *above]

    def __call__(self, start: int, part: Any) -> tuple[int, Batch | None, pd.DataFrame]:
        """Predict a batch; return its start, its predictions if they are stored, and its best."""
        positions, rows = self.wanted(start, part)
        batch = Batch(positions, rows, self.predict(positions, rows))
        return start, batch if self.keep_all else None, self.best(batch)

    def wanted(self, start: int, part: Any) -> tuple[NDArray[np.intp], NDArray[Any]]:
        """Return the candidates of a part that starts at ``start``, without excluded elements."""
        try:
            rows = _rows(part)
            positions = np.arange(start, start + len(rows))
            if not self.excluded or not len(rows):
                return positions, rows
            contained = contained_elements(rows)
        except RowError as error:
            raise RowError(start + error.row, error.args[1]) from None
        kept = ~contained[:, np.array(self.excluded) - 1].any(axis=1)
        return positions[kept], rows[kept]

    def predict(
        self, positions: NDArray[np.intp], rows: NDArray[Any]
    ) -> dict[str, NDArray[np.float64]]:
        """Compute the columns ``value_names`` for candidates."""
        if not len(rows):
            return dict.fromkeys(self.value_names, np.zeros(0))
        values: dict[str, NDArray[np.float64]] = {}
        X = self.named(rows)
        try:
            if self.return_std:
                values["predicted"], values["std"] = self.estimator.predict(X, return_std=True)
            else:
                values["predicted"] = self.estimator.predict(X)
            if self.distance is not None:
                values["distance"] = self.distance.of(X)
            if self.hull is not None:
                values["decomposition_energy"] = self.hull.decomposition_energy(
                    self.formulas(rows), values["predicted"]
                )
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
                    f"The estimator returned {name} of shape {numbers.shape} for {len(rows)} "
                    "candidates; it must return one number for each."
                )
            if not np.isfinite(numbers).all():
                row = int(np.flatnonzero(~np.isfinite(numbers))[0])
                raise ValueError(
                    f"Candidate {positions[row]}, {_shown_row(rows[row])}, has the {name} value "
                    f"{numbers[row]}."
                )
        return values

    def formulas(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Write candidates with one species per site as formulas."""
        if rows.ndim == 1:
            return rows
        prototype = getattr(_step(self.estimator, 0), "prototype_", None)
        multiplicities = getattr(prototype, "multiplicities", (1,) * rows.shape[1])
        species = rows.astype(str)
        # Mixtures, such as Na0.5K0.5, are longer than a symbol.
        bracketed = np.where(
            np.char.str_len(species) > 2, np.char.add(np.char.add("(", species), ")"), species
        )
        formulas = np.full(len(rows), "", dtype=str)
        for column, multiplicity in zip(bracketed.T, multiplicities, strict=True):
            formulas = np.char.add(formulas, np.char.add(column, str(multiplicity)))
        return formulas

    def products(self, best: pd.DataFrame) -> list[str]:
        """Write the mixture that each of the best candidates would decompose into."""
        assert self.hull is not None
        rows = best[self.columns].to_numpy()
        mixtures = self.hull.decompose(
            self.formulas(rows[:, 0] if rows.shape[1] == 1 else rows), exclude_self=True
        )
        return list(map(write_mixture, mixtures))

    def named(self, rows: NDArray[Any]) -> Any:
        """Name the columns as in ``fit`` of the estimator, if they had names."""
        import pandas as pd

        names = getattr(self.estimator, "feature_names_in_", None)
        if names is None or len(names) != len(self.columns):
            return rows
        return pd.DataFrame(rows.reshape(len(rows), len(self.columns)), columns=names)

    def frame(self, batch: Batch, chosen: NDArray[np.intp]) -> pd.DataFrame:
        """Return some candidates of a batch as a DataFrame, without scores."""
        import pandas as pd

        species = batch.rows[chosen].reshape(len(chosen), len(self.columns)).astype(object)
        table = dict(zip(self.columns, species.T, strict=True))
        table |= {name: numbers[chosen] for name, numbers in batch.values.items()}
        return pd.DataFrame(table, index=pd.Index(batch.positions[chosen], name="candidate"))

    def best(self, batch: Batch) -> pd.DataFrame:
        """Return the best candidates of a batch."""
        allowed = np.ones(len(batch.positions), dtype=bool)
        for name, most in (
            ("std", self.max_std),
            ("distance", self.max_distance),
            ("decomposition_energy", self.max_above_hull),
        ):
            if most is not None:
                allowed &= batch.values[name] <= most
        chosen = np.flatnonzero(allowed)
        if isinstance(self.objective, str):
            column, sign = _OBJECTIVES[self.objective]
            score = batch.values[column][chosen] * sign
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
        order = np.argsort(score, kind="stable")[: self.k]  # ties by position
        return self.frame(batch, chosen[order]).assign(score=score[order])

    def merge(self, *parts: pd.DataFrame) -> pd.DataFrame:
        """Return the best candidates of several results of ``best``."""
        import pandas as pd

        filled = [part for part in parts if len(part)]
        if not filled:
            return parts[0]
        both = pd.concat(filled)
        return both.iloc[np.lexsort((both.index, both["score"]))[: self.k]]


def _columns(estimator: Any, candidates: Any) -> list[str]:
    """Return the names of the columns of candidates."""
    sliceable = hasattr(candidates, "__len__") and hasattr(candidates, "__getitem__")
    if not sliceable or isinstance(candidates, (str, bytes, Mapping)):
        raise ValueError(f"candidates must have a length and slicing, got {shown(candidates)}.")
    rows = _rows(part_of(candidates, 0, 1))
    n_columns = rows.shape[1] if rows.ndim == 2 else 1
    names: Any = getattr(candidates, "columns", None)
    sites = getattr(getattr(_step(estimator, 0), "prototype_", None), "sites", ())
    if names is None:
        names = ["formula"] if n_columns == 1 != len(sites) else sites
    if len(names) != n_columns:
        names = [f"site_{number}" for number in range(1, n_columns + 1)]
    taken = [name for name in map(str, names) if name in _RESULTS]
    if taken:
        raise ValueError(f"candidates has a column {taken[0]!r}, which is reserved for results.")
    return list(map(str, names))


def _rows(part: Any) -> NDArray[Any]:
    """Convert candidates to an array of shape (n_samples,) or (n_samples, n_sites)."""
    if hasattr(part, "to_numpy"):
        rows = part.to_numpy()
    elif isinstance(part, np.ndarray):
        rows = part
    elif len(part) and isinstance(part[0], (list, tuple, np.ndarray)):
        rows = _as_matrix(part).complete()
    else:  # formulas, mappings or compositions, which NumPy must not take apart
        rows = np.fromiter(part, dtype=object, count=len(part))
    return rows[:, 0] if rows.ndim == 2 and rows.shape[1] == 1 else rows


def _check_space(estimator: Any, candidates: Any, excluded: list[int]) -> None:
    """Raise before the first prediction if the model cannot predict the whole space."""
    space = candidates.space if isinstance(candidates, CandidatesShard) else candidates
    first = _step(estimator, 0)
    prototype = getattr(first, "prototype_", None)
    if (
        isinstance(space, SiteCandidates)
        and prototype is not None
        and space.multiplicities != prototype.multiplicities
    ):
        raise ValueError(
            f"The candidates have {space.multiplicities} atoms on their sites, but the model was "
            f"trained for {prototype.formula}."
        )
    modes = getattr(first, "modes_", None)
    if modes is None or not isinstance(space, Candidates):
        return
    missing = [
        symbol
        for symbol in space.elements
        if symbol not in modes.index and ATOMIC_NUMBERS[symbol] not in excluded
    ]
    if missing:
        raise ValueError(
            f"The candidates contain {', '.join(missing)}, for which the model has no modes: "
            "leave them out, or name them in exclude_elements."
        )


def _fingerprint_rows(estimator: Any, X: Any) -> str:
    """Hash training rows: as they are read, or as they are for a foreign transformer."""
    first = _step(estimator, 0)
    if isinstance(first, ElementalModeTransformer):
        return fingerprint(X, first.prototype_)
    rows = np.asarray(X)
    if rows.dtype.kind in "biufc":
        rows = np.ascontiguousarray(rows)
        content = repr((rows.shape, rows.dtype.str)).encode() + rows.tobytes()
    else:
        content = repr(rows.tolist()).encode(errors="surrogatepass")
    return hashlib.sha256(content).hexdigest()


def _step(estimator: Any, place: int) -> Any:
    """Return a step of a pipeline; return any other estimator unchanged."""
    return estimator.steps[place][1] if hasattr(estimator, "steps") else estimator


def _shown_row(row: Any) -> str:
    return " ".join(map(str, row)) if isinstance(row, np.ndarray) else str(row)
