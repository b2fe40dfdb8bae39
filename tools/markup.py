"""Markup that pages and slides share: what a chapter's plain Markdown becomes in both."""

from __future__ import annotations

import re

NOTE_KINDS = frozenset({"history", "note", "predict", "tip", "warning"})
"""The words that begin the book's notes, in lower case."""


def note_classes(lead: str) -> list[str]:
    """Return the classes of a block quote that begins with the bold text `lead`.

    Parameters
    ----------
    lead
        The text in bold, with its full stop.

    Returns
    -------
    list of str
        Empty for a block quote that is not one of the book's notes.

    Examples
    --------
    >>> note_classes("Predict.")
    ['ddl-note', 'ddl-note-predict']
    >>> note_classes("Rosenblatt, 1958")
    []
    """
    kind = lead.removesuffix(".").lower()
    return ["ddl-note", f"ddl-note-{kind}"] if kind in NOTE_KINDS and lead.endswith(".") else []


def html_ids(html: str) -> list[str]:
    """Return the identifiers that a piece of HTML defines.

    Examples
    --------
    >>> html_ids('<a id="rosenblatt-1958"></a>')
    ['rosenblatt-1958']
    """
    return re.findall(r"""<\w[^>]*\sid=["']([^"']+)["']""", html)
