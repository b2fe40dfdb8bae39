"""The measured numbers as tables in Markdown. Everything comes from the results; nothing is known here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.bounds import PRODUCTS
from benchmarks.contestants import DDL, FLOOR

NOT_INSTALLED = "not installed"


def markdown(results: dict[str, Any]) -> str:
    """Return all tables.

    Parameters
    ----------
    results
        What the command writes as JSON.

    Returns
    -------
    str
        Markdown.
    """
    parts = [preface(results)]
    for case in results["cases"]:
        parts += [f"## {case['title']}", facts(case), (one if case["members"] == 1 else many)(case)]
        parts += case["notes"]
    if results["profile"]:
        parts += profile(results["profile"])
    return "\n\n".join(parts) + "\n"


def preface(results: dict[str, Any]) -> str:
    """Return what was measured where, and how."""
    machine, settings = results["machine"], results["settings"]
    versions = ", ".join(
        f"{name} {version or NOT_INSTALLED}" for name, version in machine["versions"].items()
    )
    lines = [
        "# Benchmarks",
        f"{machine['processor']} ({machine['vector_instructions']}), {machine['cores']} cores, "
        f"{machine['system']}, Python {machine['python']}; {versions}. Started {machine['started']}"
        + (f" with {machine['load']:.1f} processes at work." if machine["load"] is not None else "."),
        f"Medians of {plural(settings['repeats'], 'repeat')}, on {plural(settings['threads'], 'thread')} "
        "where nothing else is said. In each repeat all contestants train once, warm, in an order that "
        "rotates; ratios are medians of the ratios within a repeat, with their range. Time is that of the "
        "whole training divided by its epochs: without imports, loading data and building networks; with "
        "whatever else a contestant does once it is told to train.",
    ]
    if settings["quick"]:
        lines.append("**A quick run, to see that everything works: these numbers mean little.**")
    return "\n\n".join(lines)


def facts(case: dict[str, Any]) -> str:
    """Return a line on sizes."""
    return (
        f"{case['train_rows']} rows to train on and {case['test_rows']} to test with, batches of "
        f"{case['batch_size']}, Adam, {plural(case['epochs'], 'epoch')} of "
        f"{plural(case['steps_per_epoch'], 'step')}."
    )


def one(case: dict[str, Any]) -> str:
    """Return the table of a single network."""
    rows = []
    for entry in case["contestants"]:
        if entry["version"] is None:
            rows.append([entry["name"], NOT_INSTALLED, *[""] * 4])
            continue
        rows.append(
            [
                entry["name"],
                number(entry["seconds_per_epoch"]["median"]),
                number(entry["microseconds_per_step"]["median"]),
                *(ranged(entry["ratios"][base]) if base in entry["ratios"] else "" for base in (FLOOR, DDL)),
                percent(entry["test_accuracy"]["median"]),
            ]
        )
    head = ["", "s per epoch", "µs per step", "time ÷ floor", "time ÷ ddl", "test accuracy"]
    return table(head, rows)


def many(case: dict[str, Any]) -> str:
    """Return the table of many networks."""
    rows = []
    for entry in case["contestants"]:
        if entry["version"] is None:
            rows.append([entry["name"], NOT_INSTALLED, *[""] * 6])
            continue
        own = entry["microseconds_per_step"]["median"]
        timed = entry["members_timed"]
        rows.append(
            [
                entry["name"],
                str(entry["threads"]),
                f"{timed}" if timed == case["members"] else f"{timed}, scaled",
                number(entry["seconds_per_epoch"]["median"]),
                number(1e6 / own),
                number(own),
                ranged(inverse(entry["ratios"][FLOOR])),
                percent(entry["test_accuracy"]["median"]),
            ]
        )
    head = [
        "",
        "threads",
        "networks timed",
        "s per epoch of all",
        "steps of a network per s",
        "µs per step of a network",
        "times as fast as floor",
        "test accuracy",
    ]
    return table(head, rows)


def profile(measured: dict[str, Any]) -> list[str]:
    """Return what bounds the ensembles."""
    rates = measured["rates"]
    nanoseconds = {name: 1e9 / rates[f"{name}_elements"] for name in ("tanh", "tanh_backward", "sigmoid")}
    return [
        "## What bounds the ensembles",
        "One thread. The machine's own rates: "
        f"{rates['matmul_flops'] / 1e9:.0f} GFLOP/s in the product of two large matrices; "
        + ", ".join(f"{name} {number(value)} ns" for name, value in nanoseconds.items())
        + " per element.",
        "Time of a step with several numbers of networks, and the line overhead + networks × arithmetic that "
        "fits best in relative terms:",
        scaling(measured["scaling"]),
        "Where the time of a step goes. The least time is that of its matrix products and hyperbolic "
        "tangents at the machine's own rates.",
        cases(measured["cases"]),
        "By operator, with the profiler at work, which takes a microsecond or two for each of them:",
        operators(measured["cases"]),
    ]


def scaling(measured: Sequence[dict[str, Any]]) -> str:
    """Return the table of steps with several numbers of networks."""
    head = [
        "rows a step",
        *(plural(members, "network") for members in measured[0]["members"]),
        "overhead",
        "per network",
        "largest deviation",
    ]
    rows = [
        [
            str(one["batch_size"]),
            *(f"{number(value)} µs" for value in one["microseconds_per_step"]),
            f"{number(one['overhead_microseconds'])} µs",
            f"{number(one['arithmetic_microseconds_per_member'])} µs",
            percent(one["largest_deviation"]),
        ]
        for one in measured
    ]
    return table(head, rows)


def cases(measured: Sequence[dict[str, Any]]) -> str:
    """Return the table of what bounds each ensemble."""
    head = [
        "networks × rows",
        "µs per step",
        "overhead",
        "bound by",
        "least time (µs)",
        "step, of matmul's FLOP/s",
        "products, of matmul's FLOP/s",
        "tanh, of its own rate",
    ]
    rows = [
        [
            case_name(one),
            number(one["microseconds_per_step"]),
            percent(one["overhead_share"]),
            one["bound_by"],
            number(one["least_microseconds"]),
            percent(one["share_of_matmul_rate"]["step"]),
            percent(one["share_of_matmul_rate"][PRODUCTS]),
            percent(one["share_of_tanh_rate"]),
        ]
        for one in measured
    ]
    return table(head, rows)


def operators(measured: Sequence[dict[str, Any]]) -> str:
    """Return the table of the time in each group of operators."""
    rows = []
    for group in measured[0]["operators"]:
        cells = []
        for one in measured:
            value = one["operators"][group]
            cells.append(f"{number(value)} µs, {percent(value / one['microseconds_per_step_profiled'])}")
        rows.append([group, *cells])
    rows.append(["all", *(f"{number(one['microseconds_per_step_profiled'])} µs" for one in measured)])
    return table(["networks × rows", *map(case_name, measured)], rows)


def case_name(one: dict[str, Any]) -> str:
    """Return how many networks learn from how many rows a step."""
    return f"{one['members']} × {one['batch_size']}"


def inverse(ratios: dict[str, Any]) -> dict[str, float]:
    """Return how many times as fast something is, from how many times as long it takes."""
    return {"median": 1 / ratios["median"], "min": 1 / ratios["max"], "max": 1 / ratios["min"]}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns line up, the first to the left and all others to the right.

    Examples
    --------
    >>> print(table(["who", "time"], [["a", "10"], ["bc", "5"]]))
    | who | time |
    |:----|-----:|
    | a   |   10 |
    | bc  |    5 |
    """
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        return f"| {' | '.join([first, *rest])} |"

    rule = "|".join([":" + "-" * (widths[0] + 1), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([line(lines[0]), f"|{rule}|", *map(line, lines[1:])])


def number(value: float) -> str:
    """Return a number with at least three digits, without an exponent.

    Examples
    --------
    >>> [number(value) for value in (0.012345, 1.5, 12.345, 123.4, 4567.8)]
    ['0.0123', '1.50', '12.3', '123', '4568']
    """
    decimals = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{decimals}f}"


def plural(count: int, word: str) -> str:
    """Return how many there are of something.

    Examples
    --------
    >>> plural(1, "step"), plural(8, "step")
    ('1 step', '8 steps')
    """
    return f"{count} {word}{'' if count == 1 else 's'}"


def ranged(values: dict[str, float]) -> str:
    """Return a median with its range.

    Examples
    --------
    >>> ranged({"median": 1.05, "min": 1.01, "max": 1.2})
    '1.05 (1.01–1.20)'
    """
    return f"{values['median']:.2f} ({values['min']:.2f}–{values['max']:.2f})"


def percent(share: float) -> str:
    """Return a share as a percentage.

    Examples
    --------
    >>> percent(0.0321)
    '3.2 %'
    """
    return f"{100 * share:.1f} %"
