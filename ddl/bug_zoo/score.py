"""What ``ddl.diagnose`` says of the zoo."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ddl.bug_zoo.catalogue import APART, BUGS, HEALTHY, HEALTHY_APART, Bug, Healthy
from ddl.bug_zoo.scripts import run, undisturbed
from ddl.diagnosis import diagnose


@dataclass(frozen=True)
class Diagnosis:
    """The names of the findings on a script, the most probable first, those that are errors, and the time."""

    script: Bug | Healthy
    repaired: bool
    names: tuple[str, ...]
    errors: tuple[str, ...]
    seconds: float

    @property
    def found(self) -> bool:
        """Whether the mistake is named first or second."""
        return not self.script.accepted.isdisjoint(self.names[:2])


def diagnosis(script: Bug | Healthy, *, repaired: bool = False) -> Diagnosis:
    """Run a script up to its training and ask for a diagnosis."""
    started = run(script, repaired=repaired)
    arguments, options = started.diagnosis_arguments()
    with undisturbed():
        begin = time.perf_counter()
        report = diagnose(*arguments, **options)
        seconds = time.perf_counter() - begin
    errors = tuple(finding.name for finding in report.errors)
    return Diagnosis(script, repaired, tuple(report.names), errors, seconds)


def all_diagnoses() -> Iterator[Diagnosis]:
    """Diagnose every planted script, then the repaired ones of ``BUGS``, then every healthy one."""
    for bug in BUGS + APART:
        yield diagnosis(bug)
    for bug in BUGS:
        yield diagnosis(bug, repaired=True)
    for script in HEALTHY + HEALTHY_APART:
        yield diagnosis(script)


def table(diagnoses: Sequence[Diagnosis]) -> str:
    """Return the score as text: the counts, then a line for each script."""
    counts, lines = [], []
    for title, scripts, repaired in (
        ("planted", BUGS, False),
        ("planted, kept apart", APART, False),
        ("repaired", BUGS, True),
        ("healthy", HEALTHY, False),
        ("healthy, kept apart", HEALTHY_APART, False),
    ):
        those = [each for each in diagnoses if each.script in scripts and each.repaired == repaired]
        ill = title.startswith("planted")
        if ill:
            what, count = "named first or second", sum(each.found for each in those)
        else:
            what, count = "with an error", sum(bool(each.errors) for each in those)
        counts.append(f"{title}: {what} {count} of {len(those)}")
        lines += ["", f"  {title:25} {'mistake' if ill else 'errors':41} {'found':55} seconds"]
        for each in those:
            expected = " / ".join(sorted(each.script.accepted)) if ill else ", ".join(each.errors)
            good = each.found if ill else not each.errors
            found = ", ".join(each.names[:2])
            lines.append(
                f"{'✓' if good else '✗'} {each.script.name:25} {expected:41} {found:55} {each.seconds:.2f}"
            )
    return "\n".join(counts + lines)
