"""Figures that the reader moves: with a kernel, and in the page and the deck without one."""

from __future__ import annotations

import inspect
import io
import itertools
import math
import numbers
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ddl.environment import static, strict

FRAME_LIMIT = 80
"""Most combinations of parameter values that one explorable may have."""

PIXELS_PER_INCH = 120
"""Resolution of a frame: about one and a half times that of a text column on a usual screen."""

PLAY_INTERVAL = 350
"""Milliseconds between two steps of a playing time-like parameter."""

COLOURS = 256
"""Colours of a frame on a page without a kernel: with more, it would be twice as large and look the same."""


class Steps(tuple):
    """Values of a time-like parameter: its slider has a play button."""


def steps(values: Iterable[float]) -> Steps:
    """Mark the values of a parameter as moments in time, so that the reader can play them.

    Parameters
    ----------
    values
        Increasing numbers, for example the epochs at which a model was copied.

    Returns
    -------
    Steps
        To be passed to :func:`explore`.

    Raises
    ------
    TypeError
        If the values are not numbers.
    ValueError
        If the values do not increase.

    Examples
    --------
    >>> import ddl
    >>> ddl.steps([0, 1, 10])
    (0, 1, 10)
    """
    if not isinstance(values, Iterable):
        raise TypeError(f"{values!r} is no list of values; write steps([{values!r}, …])")
    values = Steps(values)
    if not all(_is_number(value) for value in values):
        raise TypeError(f"the values of a time-like parameter must be numbers; got {list(values)}")
    if not all(before < after for before, after in itertools.pairwise(values)):
        raise ValueError(
            f"the values of a time-like parameter must increase; got {list(values)}: "
            "give them sorted, each once"
        )
    return values


def describe(figure: Figure, text: str) -> Figure:
    """Give a figure the alternative text that readers hear in place of the picture.

    Parameters
    ----------
    figure
        What an explorable's function is about to return.
    text
        What there is to see in this state of the figure, in a sentence.

    Returns
    -------
    matplotlib.figure.Figure
        The same figure.
    """
    figure.set_label(text)
    return figure


@dataclass(frozen=True)
class Parameter:
    """One control: its name, its values, the labels a reader sees, and its kind."""

    name: str
    values: tuple
    labels: tuple[str, ...]
    kind: str
    """``slider`` for numbers, ``switch`` for False and True, ``choice`` for everything else."""
    playable: bool = False

    @property
    def title(self) -> str:
        """The name as a reader sees it."""
        return self.name.replace("_", " ")

    @classmethod
    def of(cls, name: str, given: object) -> Parameter:
        """Choose the control for the values given to :func:`explore`.

        Raises
        ------
        TypeError
            If the values are neither numbers, truth values, strings, nor a mapping from labels to values.
        ValueError
            If there are fewer than two values, or a value twice.
        """
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise TypeError(f"{name}={given!r} is no list of values; write {name}=[{given!r}, …]")
        values = tuple(given.values() if isinstance(given, Mapping) else given)
        if len(values) < 2:
            raise ValueError(f"{name}={list(values)!r} leaves nothing to explore; give at least two values")
        if isinstance(given, Mapping):
            kind, labels = "choice", tuple(map(str, given))
        elif all(isinstance(value, bool | np.bool_) for value in values):
            if values != (False, True):
                raise ValueError(f"{name}={list(values)!r}: a switch has the values [False, True]")
            kind, labels = "switch", ("off", "on")
        elif all(_is_number(value) for value in values):
            kind, labels = "slider", tuple(_number(value) for value in values)
        elif all(isinstance(value, str) for value in values):
            kind, labels = "choice", values
        else:
            raise TypeError(
                f"{name}={list(values)!r}: values must be all numbers, all truth values, or all "
                "strings; for other values give a dict from label to value"
            )
        if len(set(labels)) < len(labels):
            raise ValueError(
                f"{name}: two values look the same to a reader in {list(labels)}; "
                "leave one out, or give a dict from label to value"
            )
        return cls(name, values, labels, kind, isinstance(given, Steps))


class Frame(NamedTuple):
    """One drawn state: the picture and what it shows in words."""

    picture: Image.Image
    alt: str

    def encoded(self, kind: str) -> str:
        """Return the picture as base64: exactly as ``png``, or with few colours and smaller as ``webp``."""
        buffer = io.BytesIO()
        if kind == "webp":
            few = self.picture.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).convert(
                "RGB"
            )
            few.save(buffer, kind, lossless=True, method=2)
        else:
            self.picture.save(buffer, kind)
        return b64encode(buffer.getvalue()).decode()


class Explorable:
    """A function from parameters to a figure, with a control for each parameter.

    Made by :func:`explore`; the last expression of a notebook cell shows it. Calling it calls the function.
    """

    def __init__(self, function: Callable[..., Figure], parameters: tuple[Parameter, ...]) -> None:
        self.function = function
        self.parameters = parameters
        self.name = function.__name__
        documentation = inspect.getdoc(function)
        if not documentation:
            raise ValueError(f"{self.name} has no docstring; its first line is the caption that readers see")
        self.caption = documentation.split("\n\n")[0].replace("\n", " ")
        self._frames: dict[tuple[int, ...], Frame] = {}

    def __call__(self, *args: object, **values: object) -> Figure:
        """Draw the figure for these values and return it."""
        return self.function(*args, **values)

    def __repr__(self) -> str:
        grid = " × ".join(f"{p.name} ({len(p.values)} values)" for p in self.parameters)
        return f"Explorable {self.name}: {grid}"

    def states(self) -> Iterator[tuple[int, ...]]:
        """Go through all states, each as one position per parameter; the last parameter moves fastest."""
        return itertools.product(*(range(len(p.values)) for p in self.parameters))

    def frame(self, state: tuple[int, ...]) -> Frame:
        """Return the drawn state, from memory if it was drawn before.

        Parameters
        ----------
        state
            For each parameter the position of its value.

        Raises
        ------
        TypeError
            If the function returns something that is not a figure.
        """
        if state not in self._frames:
            self._frames[state] = self._draw(state)
        return self._frames[state]

    def _draw(self, state: tuple[int, ...]) -> Frame:
        values = {p.name: p.values[i] for p, i in zip(self.parameters, state, strict=True)}
        shown = ", ".join(f"{p.title} {p.labels[i]}" for p, i in zip(self.parameters, state, strict=True))
        before = set(plt.get_fignums())
        try:
            with plt.ioff():  # else a kernel's other threads may show and close the figure while it is drawn
                figure = self.function(**values)
                if not isinstance(figure, Figure):
                    raise TypeError(f"{self.name} returned {figure!r}; return the matplotlib figure")
                alt = figure.get_label() or self.caption
                return Frame(_render(figure), f"{shown}: {alt}")
        except Exception as error:
            error.add_note(f"while drawing {self.name} with {shown}")
            raise
        finally:  # a figure left open would be shown once more below the cell
            for number in set(plt.get_fignums()) - before:
                plt.close(number)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        bundle: dict[str, object] = {"text/plain": repr(self)}
        if static():
            bundle["text/html"] = self.to_html()
        else:
            from ddl.explorable_widget import build_widget

            bundle["application/vnd.jupyter.widget-view+json"] = {
                "version_major": 2,
                "version_minor": 0,
                "model_id": build_widget(self).model_id,
            }
        first = self._frames.get(next(self.states()))
        if first:  # else the widget shows why the first state could not be drawn
            bundle["image/png"] = first.encoded("png")
        return bundle

    def to_html(self) -> str:
        """Return the explorable with all its frames as HTML that needs neither a kernel nor a network.

        Raises
        ------
        ValueError
            If two frames differ in size, since the page would jump.
        """
        return self._html

    @cached_property
    def _html(self) -> str:
        from ddl.explorable_page import build_page

        return build_page(self)


def explore(**parameters: object) -> Callable[[Callable[..., Figure]], Explorable]:
    """Turn a function from parameters to a figure into a figure that the reader moves.

    With a kernel, the controls are widgets and a state is drawn when it is first asked for. With
    ``DDL_STATIC=1``, as in the build of the book, all states are drawn at once and the output is HTML
    that needs neither a kernel nor a network.

    Parameters
    ----------
    **parameters
        For each argument of the function its values: numbers become a slider, ``[False, True]`` a switch,
        strings or a dict from label to value a choice, and :func:`steps` a slider with a play button.
        The first value of each is the state shown first.

    Returns
    -------
    callable
        Decorator that makes an :class:`Explorable`. The first paragraph of the function's docstring is its
        caption; :func:`describe` gives a state its alternative text.

    Raises
    ------
    TypeError
        If the function's arguments and the parameters differ, or values are of unknown kind.
    ValueError
        If there are more than 80 combinations, fewer than two values, or no docstring.

    Examples
    --------
    >>> import ddl, matplotlib.pyplot as plt
    >>> @ddl.explore(power=[1, 2, 3])
    ... def monomial(power):
    ...     \"\"\"A power of x.\"\"\"
    ...     figure, ax = plt.subplots()
    ...     ax.plot([0, 1, 2], [0**power, 1**power, 2**power])
    ...     return figure
    >>> monomial
    Explorable monomial: power (3 values)
    """

    def decorate(function: Callable[..., Figure]) -> Explorable:
        if not parameters:
            raise TypeError(f"{function.__name__} cannot move: give explore values for at least one argument")
        expected, given = set(inspect.signature(function).parameters), set(parameters)
        if expected != given:
            raise TypeError(
                f"{function.__name__} takes {sorted(expected)}, but explore was given {sorted(given)}; "
                "give values for each argument, and for nothing else"
            )
        controls = tuple(Parameter.of(name, values) for name, values in parameters.items())
        count = math.prod(len(p.values) for p in controls)
        if count > FRAME_LIMIT:
            grid = " × ".join(f"{len(p.values)} {p.name}" for p in controls)
            raise ValueError(
                f"{function.__name__} has {count} frames ({grid}); at most {FRAME_LIMIT} are allowed: "
                "leave out values, or split the explorable in two"
            )
        explorable = Explorable(function, controls)
        # An error while an output is displayed would not fail the cell, so what must be right is drawn now.
        if static():
            explorable.to_html()
        elif strict():
            explorable.frame(next(explorable.states()))
        return explorable

    return decorate


def _render(figure: Figure) -> Image.Image:
    figure.set_dpi(PIXELS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _number(value: float) -> str:
    return f"{value:{'d' if isinstance(value, numbers.Integral) else 'g'}}".replace("-", "−")
