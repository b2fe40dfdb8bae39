"""What numbers are called in a diagram."""

from __future__ import annotations

import math

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
