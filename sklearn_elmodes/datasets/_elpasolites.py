"""The 10,590 elpasolites of Faber et al. (2016)."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes.datasets._base import fetch_file, make_bunch
from sklearn_elmodes.elements import SYMBOLS

_URL = (
    "https://raw.githubusercontent.com/jeherr/Elpasolite-Formation-Energy-Predictor/"
    "e96647546774e74440b339ff682897d8cf1245dc/train_set.pkl"
)
_SHA256 = "1281342b1c68984e3056433c42afa0f5f3b95db0da4a0ef089ca028abdac88ac"
_MAX_BYTES = 254_417
_ATOMS_PER_FORMULA_UNIT = 10
# The opcodes in the file. Others could allocate gigabytes from a few bytes.
_OPCODES = frozenset(
    "PROTO STOP MARK NONE NEWFALSE BININT BININT1 BININT2 SHORT_BINSTRING BINSTRING BINUNICODE "
    "TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT SETITEMS BINPUT BINGET GLOBAL REDUCE BUILD".split()
)
_MAX_TUPLES = 16  # hashing nested tuples can take exponential time


def fetch_elpasolites(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the elpasolite dataset (regression).

    Formation energies of 10,590 crystals ABC2D6 of 39 elements, calculated with
    density-functional theory by Faber, Lindmaa, von Lilienfeld and Armiento [1]_.
    The file, published by Herr et al. (254 kB), is downloaded on first use and its
    checksum is verified.

    =============   ====================
    Samples total                 10,590
    Sites                              4
    Target          eV/atom, -3.1 to 5.0
    =============   ====================

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder for downloads; None means the folder of scikit-learn, see
        ``sklearn.datasets.get_data_home``.
    download_if_missing : bool, default=True
        If False, raise an OSError if the file has not been downloaded.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, return pandas objects instead of arrays.

    Returns
    -------
    Bunch or (data, target)
        ``data`` of shape (10590, 4): element symbols on the sites A, B, C, D.
        ``target`` of shape (10590,): formation energy in eV/atom. Also
        ``feature_names``, ``target_names``, ``frame`` and ``DESCR``.

    Raises
    ------
    OSError
        If the file is missing and cannot be downloaded.
    ValueError
        If the downloaded file has the wrong checksum.

    References
    ----------
    .. [1] F. A. Faber, A. Lindmaa, O. A. von Lilienfeld, R. Armiento, "Machine
       learning energies of 2 million elpasolite (ABC2D6) crystals", Phys. Rev.
       Lett. 117, 135502 (2016). https://doi.org/10.1103/PhysRevLett.117.135502

    Examples
    --------
    >>> from sklearn_elmodes.datasets import fetch_elpasolites
    >>> X, y = fetch_elpasolites(return_X_y=True)  # doctest: +SKIP
    >>> X[0], y[0].round(3)  # doctest: +SKIP
    (array(['O', 'C', 'Xe', 'Sb'], dtype='<U2'), np.float64(0.96))
    """
    path = fetch_file(
        _URL,
        _SHA256,
        "elpasolites",
        data_home=data_home,
        download_if_missing=download_if_missing,
        max_bytes=_MAX_BYTES,
    )
    atomic_numbers, energies = read_elpasolites(path.read_bytes())
    return make_bunch(
        "elpasolites",
        np.array(SYMBOLS)[atomic_numbers - 1],
        energies,
        ["A", "B", "C", "D"],
        "formation_energy_ev_per_atom",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def read_elpasolites(content: bytes) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Read the pickled file safely: it can create only numeric arrays.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    atomic_numbers : ndarray of shape (n_samples, 4)
    energies : ndarray of shape (n_samples,)
        Formation energy in eV/atom.

    Raises
    ------
    ValueError
        If the content is not the two expected numeric arrays.
    """
    try:
        n_tuples = 0
        for opcode, _, position in pickletools.genops(content):
            n_tuples += opcode.name.startswith("TUPLE")
            if opcode.name not in _OPCODES or n_tuples > _MAX_TUPLES:
                raise ValueError(f"unexpected {opcode.name} at byte {position}")
        arrays = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
        atomic_numbers, energies = arrays["ANs"], arrays["FEs"]
        usable = (
            type(atomic_numbers) is np.ndarray
            and type(energies) is np.ndarray
            and atomic_numbers.dtype.kind in "iu"
            and energies.dtype.kind == "f"
            and energies.ndim == 1
            and atomic_numbers.shape == (len(energies), 4)
            and bool(np.isfinite(energies).all())
            and bool(((atomic_numbers >= 1) & (atomic_numbers <= len(SYMBOLS))).all())
        )
    except Exception as error:  # a corrupted pickle can raise almost any exception
        raise ValueError(f"The elpasolite file cannot be read: {error}") from error
    if not usable:
        raise ValueError(
            "The elpasolite file must contain atomic numbers 'ANs' of shape (n, 4) and finite "
            "energies 'FEs' of shape (n,)."
        )
    return atomic_numbers.astype(np.intp), energies.astype(float) / _ATOMS_PER_FORMULA_UNIT


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler that creates only numeric NumPy arrays."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,
            ("numpy._core.multiarray", "_reconstruct"): _empty_array,
            ("numpy", "ndarray"): None,  # an argument of _reconstruct that must not be callable
            ("numpy", "dtype"): _numeric_dtype,
        }
        if (module, name) in allowed:
            return allowed[module, name]
        raise ValueError(f"{module}.{name} is not allowed, only numeric NumPy arrays")


def _empty_array(_: Any, shape: Any, __: Any) -> NDArray[Any]:
    if shape != (0,):
        raise ValueError("unexpected shape of an array")
    return np.empty(0)


def _numeric_dtype(code: Any, *_: Any) -> np.dtype[Any]:
    if code not in ("i4", "i8", "f4", "f8"):
        raise ValueError(f"unexpected array type {code!r}")
    # newbyteorder copies, because unpickling modifies the dtype.
    return np.dtype(code).newbyteorder("=")
