"""The element tables included in ElementEmbeddings."""

from __future__ import annotations

from typing import Any

from _worker import answer


def main(names: list[str]) -> dict[str, Any]:
    """Return index (symbols), columns and data of each table."""
    from elementembeddings.core import Embedding

    tables = {name: Embedding.load_data(name).as_dataframe().astype(float) for name in names}
    return {name: table.to_dict(orient="split") for name, table in tables.items()}


if __name__ == "__main__":
    answer(main)
