"""Measure how long training takes with the book's package, and with what people would use instead.

    python -m benchmarks [--quick] [--only mnist,tiled] [--repeats 5] [--json benchmarks/results.json]
    python -m benchmarks --show benchmarks/results.json

Prints tables in Markdown. The book needs none of the other packages: those that are missing are listed as not
installed. To compare with all of them, install benchmarks/requirements.txt in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, report
from benchmarks.bounds import bounds
from benchmarks.cases import many, single
from benchmarks.contestants import FLOOR, Contestant, for_many, for_one
from benchmarks.timing import WARM, compare

PARTS = ("mnist", "tiled", "cnn", "spirals", "profile")
"""What can be measured."""


def measure(
    parts: Sequence[str],
    *,
    repeats: int = 5,
    threads: int = 1,
    quick: bool = False,
    names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Measure, and return everything, ready for JSON.

    Parameters
    ----------
    parts
        Some of :data:`PARTS`.
    repeats
        How often everything is timed.
    threads
        On how many threads a single network is trained.
    quick
        Whether to take short trainings, to see that everything works.
    names
        Contestants other than the floor that take part. Default: all.
    """

    def chosen(contestants: Sequence[Contestant]) -> list[Contestant]:
        return [one for one in contestants if names is None or one.name in (FLOOR, *names)]

    wanted = [(task, for_one(task)) for task in single(quick=quick) if task.name in parts]
    ensembles = many(quick=quick)
    if "spirals" in parts:
        wanted += [(task, for_many(task)) for task in ensembles]
    packages = ["dissecting-deep-learning", "torch", "numpy"]
    packages += [one.distribution for _, contestants in wanted for one in chosen(contestants)]
    started = machine.facts(dict.fromkeys(packages))
    warm = 0.0 if quick else WARM
    return {
        "machine": started,
        "settings": {"repeats": repeats, "threads": threads, "quick": quick},
        "cases": [
            compare(task, chosen(contestants), threads=threads, repeats=repeats, warm=warm, tell=tell)
            for task, contestants in wanted
        ],
        "profile": bounds(ensembles, repeats=repeats, quick=quick, tell=tell) if "profile" in parts else None,
    }


def tell(line: str) -> None:
    """Say how far the measuring has got."""
    print(line, file=sys.stderr)


def listed(text: str) -> list[str]:
    """Return what stands between commas."""
    return [part.strip() for part in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short trainings, to see that everything works")
    parser.add_argument("--only", type=listed, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--contestants", type=listed, help="take only these, and the floor")
    parser.add_argument("--repeats", type=int, help="how often all is timed (5; with --quick 2)")
    parser.add_argument("--threads", type=int, default=1, help="threads for a single network (1)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write all that was measured")
    parser.add_argument("--show", type=Path, metavar="PATH", help="only print the tables of such a file")
    options = parser.parse_args(arguments)
    if options.show:
        print(report.markdown(json.loads(options.show.read_text(encoding="utf-8"))))
        return
    unknown = [part for part in options.only if part not in PARTS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)} to measure; there are {', '.join(PARTS)}")
    results = measure(
        options.only,
        repeats=options.repeats or (2 if options.quick else 5),
        threads=options.threads,
        quick=options.quick,
        names=options.contestants,
    )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(report.markdown(results))


if __name__ == "__main__":
    main()
