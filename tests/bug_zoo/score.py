"""What ``ddl.diagnose`` says of the zoo."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import ddl

from .catalogue import BUGS, HEALTHY, Bug, Healthy
from .scripts import run, undisturbed


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
        report = ddl.diagnose(*arguments, **options)
        seconds = time.perf_counter() - begin
    errors = tuple(finding.name for finding in report.errors)
    return Diagnosis(script, repaired, tuple(report.names), errors, seconds)


def all_diagnoses() -> Iterator[Diagnosis]:
    """Diagnose every planted script, then every repaired one, then every healthy one."""
    for repaired in (False, True):
        for bug in BUGS:
            yield diagnosis(bug, repaired=repaired)
    for script in HEALTHY:
        yield diagnosis(script)


def table(diagnoses: list[Diagnosis]) -> str:
    """Return the score as text, a line for each script."""
    planted = [each for each in diagnoses if isinstance(each.script, Bug) and not each.repaired]
    found = sum(each.found for each in planted)
    sound = {"repaired": [], "healthy": []}
    for each in diagnoses:
        if each.repaired or isinstance(each.script, Healthy):
            sound["repaired" if each.repaired else "healthy"].append(each)
    lines = [f"named first or second: {found} of {len(planted)}"]
    for kind, those in sound.items():
        lines.append(f"{kind}, with an error: {sum(bool(each.errors) for each in those)} of {len(those)}")
    lines += ["", f"  {'planted':25} {'mistake':35} {'found':52} seconds"]
    for each in planted:
        accepted, names = " / ".join(sorted(each.script.accepted)), ", ".join(each.names[:2])
        lines.append(
            f"{'✓' if each.found else '✗'} {each.script.name:25} {accepted:35} {names:52} {each.seconds:.2f}"
        )
    for kind, those in sound.items():
        lines += ["", f"  {kind:25} {'errors':35} {'found':52} seconds"]
        for each in those:
            errors, names = ", ".join(each.errors), ", ".join(each.names[:2])
            mark = "✗" if each.errors else "✓"
            lines.append(f"{mark} {each.script.name:25} {errors:35} {names:52} {each.seconds:.2f}")
    return "\n".join(lines)
