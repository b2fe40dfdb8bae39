"""What :func:`ddl.diagnose` found: in words, as HTML for a notebook, as figures."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ddl.diagnosis.measuring import Measured

SEVERITIES = ("error", "warning", "note")
"""From what no sound script shows, over what most often is a mistake, to what is worth knowing."""

MARKS = {"error": "✗", "warning": "!", "note": "·"}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a training run, or may be.

    Parameters
    ----------
    name
        What it is called, such as ``"gradients-not-zeroed"``.
    severity
        ``"error"``: what was measured cannot be seen in a sound script; ``"warning"``: most often a mistake;
        ``"note"``: worth knowing.
    evidence
        What was measured, with the numbers and the names of layers.
    question
        What to ask next.
    remedy
        What to change.
    numbers
        The numbers of the evidence by name.
    explains
        Names of the symptoms that this accounts for, and that the report therefore leaves out.
    """

    name: str
    severity: Literal["error", "warning", "note"]
    evidence: str
    question: str
    remedy: str
    numbers: Mapping[str, object] = field(default_factory=dict)
    explains: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"{MARKS[self.severity]} {self.name} ({self.severity})",
            f"  {self.evidence}",
            f"  Ask: {self.question}",
            f"  Do:  {self.remedy}",
        ]
        if self.explains:
            lines.append(f"  This accounts for: {', '.join(self.explains)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f'<div class="ddl-report">{STYLE}<ol class="ddl-report-findings">{self._item()}</ol></div>'

    def _item(self) -> str:
        """Return the finding as an item of a list."""
        rows = {"Ask": self.question, "Do": self.remedy, "Accounts for": ", ".join(self.explains)}
        terms = "".join(f"<dt>{term}</dt><dd>{html.escape(text)}</dd>" for term, text in rows.items() if text)
        return (
            f'<li class="ddl-report-{self.severity}"><p class="ddl-report-name">'
            f'<span class="ddl-report-mark" aria-hidden="true">{MARKS[self.severity]}</span> '
            f'<code>{html.escape(self.name)}</code> <span class="ddl-report-severity">{self.severity}</span>'
            f'</p><p class="ddl-report-evidence">{html.escape(self.evidence)}</p><dl>{terms}</dl></li>'
        )


class Report:
    """What :func:`ddl.diagnose` found, the most probable root cause first.

    Attributes
    ----------
    findings : tuple of Finding
        What was found, in the order in which to look into it.
    checked : tuple of str
        The checks that could be made.
    skipped : dict of str to str
        The checks that could not, each with the reason and with what to pass so that they can.
    measured : Measured
        Gradients, updates and activations, layer by layer, as :meth:`plot` draws them.
    """

    def __init__(
        self,
        findings: tuple[Finding, ...],
        checked: tuple[str, ...],
        skipped: Mapping[str, str],
        measured: Measured,
    ) -> None:
        self.findings = findings
        self.checked = checked
        self.skipped = dict(skipped)
        self.measured = measured

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the findings, in their order."""
        return tuple(finding.name for finding in self.findings)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that no sound script shows."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def __len__(self) -> int:
        return len(self.findings)

    def __bool__(self) -> bool:
        """Return True also if nothing was found: there is a report."""
        return True

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Finding:
        """Return the finding of a name."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"{name!r} was not found; there are {', '.join(self.names) or 'no findings'}")

    def __str__(self) -> str:
        parts = [self._head(), *map(str, self.findings)]
        if self.skipped:
            parts.append("\n".join(["Not checked:", *(f"  {line}" for line in self._skipped())]))
        return "\n\n".join(parts)

    __repr__ = __str__

    def _head(self) -> str:
        """Return how many findings there are."""
        checks = f"{len(self.checked)} checks made"
        if self.skipped:
            checks += f", {len(self.skipped)} skipped"
        if not self.findings:
            return f"Nothing found: {checks}."
        counts = [(sum(f.severity == severity for f in self.findings), severity) for severity in SEVERITIES]
        words = [f"{count} {severity}{'s' * (count != 1)}" for count, severity in counts if count]
        return f"{', '.join(words)} ({checks}); the most probable cause first."

    def _skipped(self) -> list[str]:
        """Return the reasons, each with the checks that were skipped for it."""
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.skipped.items():
            by_reason.setdefault(reason, []).append(name)
        return [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]

    def _repr_html_(self) -> str:
        items = "".join(finding._item() for finding in self.findings)
        skipped = "".join(f"<li>{html.escape(line)}</li>" for line in self._skipped())
        return (
            f'<div class="ddl-report">{STYLE}<p class="ddl-report-head">{html.escape(self._head())}</p>'
            + (f'<ol class="ddl-report-findings">{items}</ol>' if items else "")
            + (
                f'<details class="ddl-report-skipped"><summary>Not checked: {len(self.skipped)}</summary>'
                f"<ul>{skipped}</ul></details>"
                if skipped
                else ""
            )
            + "</div>"
        )

    def plot(self) -> Figure:
        """Draw gradients, updates and activations, layer by layer.

        Returns
        -------
        matplotlib.figure.Figure
            Three panels: the norm of each tensor's gradient; the relative update ‖Δθ‖/‖θ‖ of one step, with a
            line at 10⁻³, which is usual; mean and standard deviation of what the layers put out, with the
            shares of dead and of saturated units. A panel says so if there was nothing to measure.
        """
        from ddl.diagnosis.drawing import draw

        return draw(self.measured)


# The words take the colour of the page, be it light or dark; colour alone says nothing that words do not.
STYLE = (
    "<style>"
    ".ddl-report{margin:1em 0;line-height:1.5}"
    ".ddl-report-head{margin:0 0 .6em;font-weight:600}"
    ".ddl-report-findings{margin:0;padding:0;list-style:none}"
    ".ddl-report-findings>li{margin:0 0 .8em;padding:.5em 0 .5em 1em;border-left:4px solid #888}"
    ".ddl-report-findings>li.ddl-report-error{border-color:#d55e00}"
    ".ddl-report-findings>li.ddl-report-warning{border-color:#e69f00}"
    ".ddl-report p{margin:0 0 .3em}"
    ".ddl-report-name code{font-weight:700;color:inherit;background:none;border:0;padding:0}"
    ".ddl-report-severity{font-size:.85em}"
    ".ddl-report dl{display:grid;grid-template-columns:max-content 1fr;gap:.15em .8em;margin:0}"
    ".ddl-report dt{margin:0;font-weight:600}"
    ".ddl-report dd{margin:0;min-width:0;overflow-wrap:anywhere}"
    "</style>"
)
