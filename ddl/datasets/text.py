"""Text made to order: four little languages, so that it is known of every character where it comes from."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from ddl.checks import generator, whole_number


class Windows(NamedTuple):
    """A text cut into n pieces of t characters, for a model that predicts each next character."""

    x: torch.Tensor
    """Numbers of the characters, int64, shape (n, t)."""
    y: torch.Tensor
    """The character that follows each, int64, shape (n, t)."""
    dialects: torch.Tensor
    """The dialect of the line in which each character of x stands, int64, shape (n, t)."""


@dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """A text as numbers, with the dialect of every character; made by :func:`dialects`."""

    text: str
    tokens: torch.Tensor
    """Place of each character in the vocabulary, int64, shape (m,)."""
    dialects: torch.Tensor
    """Which of ``names`` each character belongs to, int64, shape (m,)."""
    vocabulary: str
    """All characters that may occur, sorted."""
    names: tuple[str, ...]
    """Names of the dialects."""

    def __repr__(self) -> str:
        present = [self.names[label] for label in self.dialects.unique().tolist()]
        return f"Corpus({len(self)} characters of {len(self.vocabulary)} kinds: {', '.join(present)})"

    def __len__(self) -> int:
        return len(self.tokens)

    def windows(self, length: int) -> Windows:
        """Cut the text into pieces of equal length, one after the other; what is left over is dropped.

        Parameters
        ----------
        length
            Number of characters t.

        Returns
        -------
        Windows
            x, y and dialects of shape (n, t).

        Raises
        ------
        TypeError, ValueError
            If the length is no positive whole number, or the text too short.
        """
        whole_number("length", length, at_least=1)
        count = (len(self) - 1) // length
        if count < 1:
            raise ValueError(
                f"length is {length}, but the text has {len(self)} characters; give a longer text"
            )
        end = count * length
        parts = self.tokens[:end], self.tokens[1 : end + 1], self.dialects[:end]
        return Windows(*(part.reshape(count, length) for part in parts))

    def encode(self, text: str) -> torch.Tensor:
        """Return the numbers of the characters of a text, shape (characters,).

        Raises
        ------
        ValueError
            If a character is not in the vocabulary.
        """
        return _encoded(text, self.vocabulary)

    def decode(self, tokens: torch.Tensor) -> str:
        """Return the text that numbers of shape (characters,) stand for."""
        return "".join(self.vocabulary[token] for token in tokens.tolist())


def dialects(
    lines: int, *, names: Sequence[str] = ("dates", "sums", "rhymes", "code"), rng: np.random.Generator
) -> Corpus:
    """Return a text of lines in four little languages, mixed at random.

    The languages are dates of the twentieth century with the right day of the week; sums, differences and
    products of numbers below a hundred; sentences as in nursery rhymes; and lines as in a program. They share
    letters, digits and spaces.

    Parameters
    ----------
    lines
        Number of lines.
    names
        The languages that occur, each equally often on average.
    rng
        Source of the randomness.

    Returns
    -------
    Corpus
        The text. Vocabulary and numbers of the dialects are the same whatever occurs.

    Raises
    ------
    TypeError
        If ``lines`` is not a whole number or ``rng`` no generator.
    ValueError
        If there are no lines, or a name is not known.

    Examples
    --------
    >>> import ddl
    >>> corpus = ddl.datasets.dialects(4, rng=ddl.rng(1))
    >>> corpus.windows(8).x.shape[1]
    8
    """
    whole_number("lines", lines, at_least=1)
    generator(rng)
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if name not in _LINES:
            raise ValueError(f"there is no dialect {name!r}; there are {', '.join(_LINES)}")
    if not names:
        raise ValueError(f"names is empty; give some of {', '.join(_LINES)}")
    known = tuple(_LINES)
    which = rng.integers(len(names), size=lines)
    numbers = rng.integers(2**31, size=(lines, 5)).tolist()  # each line takes as many of its row as it needs
    written = [_LINES[names[i]](*row) + "\n" for i, row in zip(which.tolist(), numbers, strict=True)]
    text = "".join(written)
    labels = np.array([known.index(name) for name in names])[which]
    labels = np.repeat(labels, [len(line) for line in written])
    return Corpus(text, _encoded(text, VOCABULARY), torch.from_numpy(labels), VOCABULARY, known)


def _encoded(text: str, vocabulary: str) -> torch.Tensor:
    places = {character: place for place, character in enumerate(vocabulary)}
    for character in text:
        if character not in places:
            raise ValueError(f"the character {character!r} is not in the vocabulary {vocabulary!r}")
    return torch.tensor([places[character] for character in text], dtype=torch.int64)


VOCABULARY = "".join(sorted("\n +-*=()[]:<>,0123456789abcdefghijklmnopqrstuvwxyz"))

_MONTHS = [
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
]  # fmt: skip
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_KINDS = ["little", "merry", "jolly", "sleepy", "golden", "silver", "hungry", "quiet"]
_ANIMALS = ["lamb", "mouse", "cow", "kitten", "fox", "owl", "pig", "quail", "bee", "jay"]
_DEEDS = ["ran", "jumped", "danced", "hopped", "went", "skipped", "sat", "waited"]
_PLACES = [
    "over the moon", "under the hedge", "to the fair", "round the bush",
    "by the well", "up the hill", "on a wall", "in the corn",
]  # fmt: skip
_VARIABLES = ["x", "y", "z", "n", "total", "value", "index"]
_FUNCTIONS = ["len", "max", "sum", "abs"]


def _date(day: int, *_: int) -> str:
    date = datetime.date(1900, 1, 1) + datetime.timedelta(days=day % 36524)
    return f"{_DAYS[date.weekday()]} {date.day} {_MONTHS[date.month - 1]} {date.year}"


def _sum(a: int, b: int, operation: int, *_: int) -> str:
    a, b = a % 100, b % 100
    sign, result = (("+", a + b), ("-", a - b), ("*", a * b))[operation % 3]
    return f"{a}{sign}{b}={result}"


def _rhyme(kind: int, animal: int, deed: int, place: int, other: int) -> str:
    line = f"the {_one(_KINDS, kind)} {_one(_ANIMALS, animal)} {_one(_DEEDS, deed)} {_one(_PLACES, place)}"
    return f"{line}, said the {_one(_ANIMALS, other)}" if other % 2 else line


def _code(form: int, first: int, second: int, function: int, number: int) -> str:
    x = _one(_VARIABLES, first)
    y = _one([name for name in _VARIABLES if name != x], second)
    f, number = _one(_FUNCTIONS, function), number % 20
    return (
        f"for {x} in range({number}): {y} = {y} + {x}",
        f"if {x} > {number}: {y} = {f}({x})",
        f"def f({x}, {y}): return {x} * {number}",
        f"{x} = [{f}({y}) for {y} in {x}]",
        f"while {x} < {number}: {x} = {x} + {y}[{number}]",
    )[form % 5]


def _one(words: Sequence[str], number: int) -> str:
    return words[number % len(words)]


_LINES: dict[str, Callable[..., str]] = {"dates": _date, "sums": _sum, "rhymes": _rhyme, "code": _code}
