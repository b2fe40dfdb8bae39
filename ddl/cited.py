"""Numbers that nobody can measure here: each has one source, and its table links to it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class CitedTable:
    """A table of numbers from elsewhere, which shows its sources as links.

    Parameters
    ----------
    frame
        One row per number or group of numbers, with the columns ``source`` (a short citation) and ``url``.
    columns
        The columns to show beside the source.

    Raises
    ------
    ValueError
        If a row has no source or no address.
    """

    def __init__(self, frame: pd.DataFrame, columns: Sequence[str]) -> None:
        given = frame[["source", "url"]].fillna("").apply(lambda column: column.astype(str).str.strip())
        bare = frame[given.eq("").any(axis=1)]
        if len(bare):
            raise ValueError(f"rows without a source: {bare.iloc[:, 0].tolist()}; cite one for each")
        self.frame = frame
        self.columns = list(columns)

    def _shown(self) -> pd.DataFrame:
        shown = self.frame[[*self.columns, "source"]].copy()
        for name in shown.select_dtypes("number").columns.drop("year", errors="ignore"):
            shown[name] = shown[name].map("{:,.0f}".format, na_action="ignore").astype(object).fillna("")
        return shown

    def __repr__(self) -> str:
        return self._shown().to_string(index=False, max_colwidth=40)

    def _repr_html_(self) -> str:
        shown = self._shown().map(lambda value: html.escape(str(value)))
        shown["source"] = [
            f'<a href="{html.escape(url)}">{text}</a>'
            for url, text in zip(self.frame["url"], shown["source"], strict=True)
        ]
        return f'<div class="ddl-table">{shown.to_html(index=False, escape=False, border=0)}</div>'


def network_sizes() -> CitedTable:
    """Return the sizes of well-known artificial networks.

    Returns
    -------
    CitedTable
        Its ``frame`` has the columns name, year, units, parameters (NaN where the source gives none),
        counted (what the source counts), source and url.

    Examples
    --------
    >>> import ddl
    >>> int(ddl.cited.network_sizes().frame["parameters"].min())
    17
    """
    return CitedTable(_read("network_sizes.csv"), ["name", "year", "units", "parameters", "counted"])


def nervous_systems() -> CitedTable:
    """Return the sizes of some animals' nervous systems.

    Returns
    -------
    CitedTable
        Its ``frame`` has the columns animal, part, neurons, synapses (NaN where the source gives none),
        counted (how the source counts), source and url.
    """
    return CitedTable(_read("nervous_systems.csv"), ["animal", "part", "neurons", "synapses", "counted"])


def _read(name: str) -> pd.DataFrame:
    import pandas as pd  # slow to import

    with resources.files("ddl").joinpath("assets", name).open(encoding="utf-8") as file:
        return pd.read_csv(file)
