"""What numbers are called in a diagram."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def rounded(number: float, digits: int = 2) -> str:
    """Return a number as it is written in a diagram: few digits, a real minus sign, powers of ten.

    Parameters
    ----------
    number
        What to write.
    digits
        Significant digits; a number has more only before its decimal point.

    Returns
    -------
    str
        The number.

    Examples
    --------
    >>> rounded(-0.12345), rounded(-1234.5), rounded(2.0, digits=3), rounded(0.0000123, digits=3)
    ('−0.12', '−1234', '2', '1.23·10⁻⁵')
    """
    if not math.isfinite(number):
        return str(number).replace("inf", "∞").replace("-", "−")
    if 10**digits <= abs(number) < 1e6:
        return f"{number:.0f}".replace("-", "−")
    mantissa, _, exponent = f"{number:.{digits}g}".partition("e")
    power = f"·10{str(int(exponent)).translate(SUPERSCRIPTS)}" if exponent else ""
    return mantissa.replace("-", "−") + power


SYMBOLS = {
    "add": "+", "sub": "−", "rsub": "−", "neg": "−", "mul": "×", "div": "÷", "truediv": "÷",
    "mm": "matmul", "mv": "matmul", "bmm": "matmul", "sum": "Σ", "sigmoid": "σ", "relu": "ReLU",
    "leaky_relu": "leaky ReLU", "gelu": "GELU", "silu": "SiLU", "elu": "ELU", "square": "(·)²", "sqrt": "√",
    "abs": "|·|", "norm": "‖·‖", "T": "ᵀ", "t": "ᵀ", "mT": "ᵀ", "mse_loss": "MSE",
    "binary_cross_entropy_with_logits": "binary cross entropy", "getitem": "index", "setitem": "set entries",
}  # fmt: skip
"""Operations that have a shorter or a more usual name than torch's."""

WITH_A_NUMBER = {
    "add": "+ {}", "radd": "+ {}", "sub": "− {}", "rsub": "{} −", "mul": "× {}", "rmul": "× {}",
    "div": "÷ {}", "truediv": "÷ {}", "rdiv": "{} ÷", "rtruediv": "{} ÷", "rpow": "{} ^",
}  # fmt: skip
"""Operations of a tensor and a Python number, which is no node of its own."""


def operation_label(function: Callable, arguments: Sequence[object] = ()) -> str:
    """Return what an operation is called in a diagram.

    Parameters
    ----------
    function
        The operation, as torch hands it to a mode.
    arguments
        What it was called with; a Python number becomes part of the label.

    Returns
    -------
    str
        The label.

    Examples
    --------
    >>> import torch
    >>> operation_label(torch.Tensor.mul, (torch.ones(2), 0.5)), operation_label(torch.logsumexp)
    ('× 0.5', 'logsumexp')
    """
    if hasattr(function, "label"):
        return function.label
    name = function.__name__.strip("_")
    if name == "get":  # a property
        name = function.__self__.__name__
    number = arguments[1] if len(arguments) > 1 else None
    if isinstance(number, int | float) and not isinstance(number, bool):
        if name == "pow":
            whole = isinstance(number, int) and number >= 0
            return f"(·){str(number).translate(SUPERSCRIPTS)}" if whole else f"(·)^{rounded(number, 3)}"
        if name in WITH_A_NUMBER:
            return WITH_A_NUMBER[name].format(rounded(number, 3))
    return SYMBOLS.get(name, name.replace("_", " "))


def symbol(name: str) -> str:
    """Return a name as it is drawn: letters with or without a number as in formulas, others as they are.

    Parameters
    ----------
    name
        The name.

    Returns
    -------
    str
        Mathtext, or the name.

    Examples
    --------
    >>> symbol("x"), symbol("W1"), symbol("0.weight"), symbol("loss")
    ('$x$', '$W_{1}$', '0.weight', 'loss')
    """
    parts = re.fullmatch(r"([A-Za-z])(\d*)", name)
    if parts is None:
        return name
    letter, index = parts.groups()
    return f"${letter}_{{{index}}}$" if index else f"${letter}$"
