"""Which finding comes first: root causes before what follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ddl.diagnosis.report import SEVERITIES, Finding

ORDER = (
    # What stops everything, and what is as clear
    "unused-parameters",
    "inputs-not-finite", "labels-out-of-range", "output-size", "mixes-examples",
    "missing-activation", "forward-fails",
    "batch-of-one", "no-backward",
    # What is computed is not what is meant
    "broadcast-shapes", "double-softmax", "double-sigmoid", "final-activation",
    "target-leakage", "labels-misaligned", "inputs-constant", "detached", "no-gradient",
    "frozen-parameters", "loss-reduction", "step-fails", "maximises-loss",
    "gradients-not-zeroed", "parameters-not-in-optimizer", "zero-initialisation",
    "symmetric-units", "training-in-eval-mode", "gradient-clipped-to-nothing", "weight-decay-too-large",
    "parameters-not-changing", "inputs-not-scaled", "targets-not-scaled", "exploding-gradients", "dead-units",
    "vanishing-gradients", "ignores-input",
    # What is measured is not what is meant
    "evaluation-fails", "evaluation-on-training-data", "evaluation-in-train-mode", "stateful-evaluation",
    "train-validation-overlap",
    # What makes training hard
    "loader-repeats", "not-shuffled", "loader-drops",
    "initial-loss", "saturated-units",
    "loss-not-finite", "learning-rate-too-large", "learning-rate-too-small",
    "class-imbalance", "not-seeded",
    "cannot-overfit-one-batch",
)  # fmt: skip
"""From the root to the symptom, among findings of the same severity."""

NO_TRAINING = frozenset(
    {"learning-rate-too-small", "cannot-overfit-one-batch", "ignores-input", "parameters-not-changing",
     "no-gradient", "initial-loss"}
)  # fmt: skip
"""What follows if the model cannot learn at all."""

HARD_TRAINING = frozenset(
    {"learning-rate-too-small", "learning-rate-too-large", "cannot-overfit-one-batch", "exploding-gradients",
     "dead-units", "saturated-units", "initial-loss", "loss-not-finite", "vanishing-gradients"}
)  # fmt: skip
"""What follows if the numbers are of the wrong size."""

FAILURES = frozenset({"step-fails", "forward-fails"})
"""What only an error can account for."""

BROKEN = NO_TRAINING | HARD_TRAINING | FAILURES

EXPLAINS: dict[str, frozenset[str]] = {
    "inputs-not-finite": BROKEN,
    "labels-out-of-range": BROKEN - {"dead-units", "saturated-units"},
    "output-size": BROKEN - {"dead-units", "saturated-units"} | {"broadcast-shapes", "labels-out-of-range"},
    "missing-activation": BROKEN - {"dead-units", "saturated-units"} | {"maximises-loss"},
    "batch-of-one": BROKEN | {"mixes-examples"},
    "forward-fails": BROKEN - {"forward-fails"},
    "loss-reduction": BROKEN,
    "no-backward": NO_TRAINING | {"detached", "frozen-parameters"},
    "broadcast-shapes": BROKEN | {"output-size"},
    "double-softmax": NO_TRAINING | {"final-activation", "vanishing-gradients", "saturated-units"},
    "double-sigmoid": NO_TRAINING | {"final-activation", "vanishing-gradients", "saturated-units"},
    "final-activation": BROKEN - {"step-fails", "forward-fails"},
    "mixes-examples": NO_TRAINING,
    "labels-misaligned": frozenset({"cannot-overfit-one-batch"}),
    "inputs-constant": NO_TRAINING
    | {"dead-units", "inputs-not-scaled", "labels-misaligned", "train-validation-overlap"},
    "detached": NO_TRAINING - {"no-gradient"} | {"vanishing-gradients", "step-fails"},
    "no-gradient": NO_TRAINING - {"no-gradient"} | {"step-fails"},
    "maximises-loss": HARD_TRAINING | NO_TRAINING,
    "gradients-not-zeroed": HARD_TRAINING | NO_TRAINING,
    "parameters-not-in-optimizer": NO_TRAINING,
    "frozen-parameters": NO_TRAINING | {"step-fails"},
    "zero-initialisation": NO_TRAINING | {"vanishing-gradients", "dead-units", "symmetric-units"},
    "symmetric-units": NO_TRAINING | HARD_TRAINING,
    "training-in-eval-mode": frozenset({"cannot-overfit-one-batch"}),
    "gradient-clipped-to-nothing": NO_TRAINING,
    "weight-decay-too-large": HARD_TRAINING | NO_TRAINING,
    "parameters-not-changing": NO_TRAINING - {"parameters-not-changing"},
    "ignores-input": NO_TRAINING - {"ignores-input"} | {"vanishing-gradients"},
    "evaluation-in-train-mode": frozenset({"stateful-evaluation"}),
    "inputs-not-scaled": HARD_TRAINING | {"ignores-input"},
    "targets-not-scaled": HARD_TRAINING | {"final-activation"},
    "exploding-gradients": HARD_TRAINING - {"exploding-gradients"},
    "vanishing-gradients": (HARD_TRAINING | NO_TRAINING) - {"vanishing-gradients"},
    "initial-loss": HARD_TRAINING - {"initial-loss"},
    "saturated-units": (HARD_TRAINING | NO_TRAINING) - {"saturated-units"},
    "dead-units": (HARD_TRAINING | NO_TRAINING) - {"dead-units", "saturated-units"},
    "loss-not-finite": HARD_TRAINING | NO_TRAINING,
    "learning-rate-too-large": frozenset({"cannot-overfit-one-batch", "loss-not-finite"}),
    "learning-rate-too-small": frozenset({"cannot-overfit-one-batch"}),
}  # fmt: skip
"""Which symptoms a cause accounts for; one of them is then left out, and named with its cause."""


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings in the order in which to look into them, without the symptoms of others.

    A cause that is more than a note accounts for its symptoms, and is then as severe as the worst of them.

    Examples
    --------
    >>> slow = Finding("learning-rate-too-small", "warning", "…", "…", "…")
    >>> added = Finding("gradients-not-zeroed", "error", "…", "…", "…")
    >>> [(finding.name, finding.explains) for finding in ranked([slow, added])]
    [('gradients-not-zeroed', ('learning-rate-too-small',))]
    """
    kept: list[Finding] = []
    for finding in sorted(findings, key=lambda finding: ORDER.index(finding.name)):
        for place, cause in enumerate(kept):
            sure = cause.severity == "error" or (cause.severity == "warning" and finding.name not in FAILURES)
            if sure and finding.name in EXPLAINS.get(cause.name, ()):
                severity = min(cause.severity, finding.severity, key=SEVERITIES.index)
                names = dict.fromkeys((*cause.explains, finding.name))
                kept[place] = replace(cause, explains=tuple(names), severity=severity)
                break
        else:
            kept.append(finding)
    return tuple(sorted(kept, key=_place))


def _place(finding: Finding) -> tuple[int, int]:
    return SEVERITIES.index(finding.severity), ORDER.index(finding.name)
