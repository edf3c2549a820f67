"""Interface of the architectures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._networks._recipes import Recipe
from sklearn_elmodes._validation import layer_widths

if TYPE_CHECKING:
    from sklearn_elmodes._networks._batches import EnsembleDataset
    from sklearn_elmodes._networks._layers import EnsembleNetwork


class Architecture(ABC):
    """One kind of network: its data, its layers and its training.

    X is anything that the architecture reads and that has a length and can be indexed by
    slices and arrays of row numbers. The non-abstract methods expect tables of numbers.
    """

    name: ClassVar[str]
    recipe: ClassVar[Recipe]
    network: ClassVar[type[EnsembleNetwork]]
    # Arguments of the network that may differ from those of a pretrained one.
    free_arguments: ClassVar[frozenset[str]] = frozenset(
        {"n_members", "n_outputs", "dropout", "dtype", "seed"}
    )

    @abstractmethod
    def layout(self, n_features: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of the network that describe a row of X.

        Raises
        ------
        ValueError
            If the number of features does not fit the parameters of the estimator.
        """

    @abstractmethod
    def dataset(
        self, X: Any, y: NDArray[Any] | None, arguments: Mapping[str, Any], device: str
    ) -> EnsembleDataset:
        """Convert rows to tensors for a network with these arguments."""

    @abstractmethod
    def describe(self, arguments: Mapping[str, Any], site_names: Sequence[str] | None) -> str:
        """Describe a network with these arguments, in words."""

    def n_features(self, X: Any) -> int:
        """Return the number of features of a row."""
        return X.shape[1]

    def dtype(self, X: Any) -> str:
        """Return the name of the dtype in which a network for X computes."""
        return X.dtype.name

    def cast(self, X: Any, dtype: str) -> Any:
        """Convert X to the dtype in which a network computes."""
        with np.errstate(over="ignore"):
            X = X.astype(dtype, copy=False)
        if not np.isfinite(X).all():
            raise ValueError(
                f"X contains values that are too large for {X.dtype}, the dtype of the model."
            )
        return X

    def content(self, X: Any) -> Iterator[memoryview]:
        """Yield the bytes of X, to compute a fingerprint of the data."""
        yield np.ascontiguousarray(X).data

    def arguments(
        self,
        n_features: int,
        parameters: Mapping[str, Any],
        *,
        n_outputs: int,
        dtype: str,
        seed: int,
    ) -> dict[str, Any]:
        """Return all arguments of the network for the parameters of an estimator."""
        import torch

        sizes = ("encoder_layer_sizes", "hidden_layer_sizes")
        return {
            "n_members": int(parameters["n_estimators"]),
            "n_outputs": n_outputs,
            **self.layout(n_features, parameters),
            **{name: layer_widths(name, parameters[name]) for name in sizes},
            "activation": parameters["activation"],
            "encoder_activation": parameters["encoder_activation"],
            "dropout": parameters["dropout"],
            "dtype": getattr(torch, dtype),
            "seed": seed,
        }
