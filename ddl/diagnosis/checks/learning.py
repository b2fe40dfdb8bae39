"""Checks of what training does: how fast, in which direction, and whether it can succeed at all."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from ddl.diagnosis.case import CALLS, Case
from ddl.diagnosis.errors import Unavailable
from ddl.diagnosis.report import Finding
from ddl.diagnosis.trials import learn_by_heart

LITTLE = 0.02
"""Part of the way to the least loss that is hardly any, in 30 steps on one batch."""

SLOWER, FASTER = (0.1, 0.01, 1e-3, 1e-4), (10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
"""What the moves of the step are multiplied by to see what another learning rate would do."""


def check_maximises_loss(case: Case) -> Iterator[Finding]:
    """Find a loss that is smaller for wrong outputs, and a step that goes uphill."""
    right_and_wrong = _right_and_wrong(case)
    if right_and_wrong is not None and _is_worse(*right_and_wrong):
        right, wrong = right_and_wrong
        yield Finding(
            "maximises-loss",
            "error",
            f"The loss of outputs that are right is {right:.3g}, that of outputs that are wrong {wrong:.3g}: "
            "minimising it makes the outputs wrong.",
            "Is a minus sign missing, as before a logarithm of a probability?",
            "Make the loss small where the output is right: the negative logarithm of the probability.",
            {"right": right, "wrong": wrong},
        )
        return
    moved, gradients = case.working.moved, case.backward.gradients
    names = [name for name, gradient in gradients.items() if gradient is not None]
    move, gradient = (
        torch.cat([part[name].reshape(-1).float() for name in names]) for part in (moved, gradients)
    )
    if not bool(move.any()) or not bool(gradient.any()):
        raise Unavailable("the step moves nothing")
    along = torch.cosine_similarity(move, gradient, 0).item()
    if along < 0.05:
        return
    up, down = case.at(0.1), case.at(-0.1)
    if not (up[-1] > up[0] or not math.isfinite(up[-1])) or not down[-1] < down[0]:
        return
    yield Finding(
        "maximises-loss",
        "error",
        f"The step goes along the gradient, not against it (cosine {along:.2f}). With tenths of your steps "
        f"the loss of one batch goes from {up[0]:.3g} to {up[-1]:.3g}, with the same steps backwards to "
        f"{down[-1]:.3g}.",
        "Is there a minus sign too many, maximize=True, or a plus where the gradient is subtracted?",
        "Go against the gradient of the loss: θ ← θ − η·gradient.",
        {"cosine": along, "forwards": up[-1], "backwards": down[-1]},
    )


def check_learning_rate(case: Case) -> Iterator[Finding]:
    """Find a learning rate far from those that would do."""
    losses = _untrained(case)
    here = case.progress(losses)
    peak = max(loss if math.isfinite(loss) else math.inf for loss in losses)
    if here < 0.15 or peak > 3 * losses[0]:
        yield from _too_large(case, losses, here, peak)
    course = _course(case) if here < 0.3 else [1.0]
    if 0 <= course[-1] < 0.01 * course[0] and math.isfinite(losses[-1]):
        yield Finding(
            "learning-rate-too-small",
            "warning",
            f"In {CALLS} steps the schedule brings the learning rate from {course[0]:.3g} to "
            f"{course[-1]:.3g}, and the loss of one batch goes from {losses[0]:.4g} to {_short(losses[-1])}.",
            "Is the schedule stepped once for each batch, and made for epochs?",
            "Step the schedule once for each epoch, or give it the number of batches.",
            {"first": course[0], "last": course[-1], "progress": here},
        )
        return
    if not -LITTLE < here < 0.006:
        return
    best = 0.0
    for factor in FASTER:
        there = case.progress(case.at(factor))
        if there > max(0.1, 20 * here):
            best = factor
        if there < -LITTLE or there > 0.3:
            break
    if best < 100:
        return
    rising = course[-1] > 1.05 * course[0]
    yield Finding(
        "learning-rate-too-small",
        "note" if rising else "error" if here < 0.0007 else "warning",
        f"In {CALLS} steps on one batch the loss goes from {losses[0]:.4g} to {_short(losses[-1])}, "
        f"{max(here, 0):.1g} of the way to the least one; with steps {best:g} times as long it gets to "
        f"{_short(case.at(best)[-1])}.{_rates(case)}"
        + (" The learning rate is still rising." if rising else ""),
        "How large is the update of a layer, compared with its weights? Usual is about 1 in 1000.",
        f"Try {best:g} times the learning rate.",
        {"progress": here, "factor": best, "there": case.progress(case.at(best))},
    )


def _too_large(case: Case, losses: list[float], here: float, peak: float) -> Iterator[Finding]:
    """Find that the loss rises, or jumps, and would fall with shorter steps."""
    jumps = peak > 3 * losses[0]
    wanted = max(0.25, 0.5 * here if jumps else 4 * here)
    for factor in SLOWER:
        shorter = case.at(factor)
        there = case.progress(shorter)
        if there > wanted and max(shorter) < 0.5 * peak + losses[0]:
            break
    else:
        return
    evidence = f"In {CALLS} steps on one batch the loss goes from {_short(losses[0])} to {_short(losses[-1])}"
    if jumps:
        evidence += f", over {_short(peak)} on the way"
    yield Finding(
        "learning-rate-too-large",
        "error" if here < LITTLE or peak > 10 * losses[0] else "warning",
        f"{evidence}; with steps {1 / factor:.0f} times as short it falls to "
        f"{_short(shorter[-1])}.{_rates(case)}",
        "At which learning rate does the loss just still fall?",
        f"Divide the learning rate by about {1 / factor:.0f}, or warm it up.",
        {"progress": here, "factor": factor, "there": there, "peak": peak},
    )


def check_weight_decay_too_large(case: Case) -> Finding | None:
    """Find weight decay that pulls harder than the loss."""
    decays = [g.get("weight_decay", 0) for o in _optimizers(case) for g in o.param_groups]
    decay = max((float(value) for value in decays), default=0.0)
    added = _added_decay(case)
    if added is None and not decay > 0:
        return None
    losses = _untrained(case)
    if decay > 0:

        def without() -> None:
            for optimizer in _optimizers(case):
                for group in optimizer.param_groups:
                    group["weight_decay"] = 0.0

        calls = 2 * CALLS
        with_it, free = case.curve(calls=calls), case.curve(calls=calls, prepare=without)
        left, possible = (1 - case.progress(curve) for curve in (with_it, free))
        if not left > max(0.25, 3 * possible):
            return None
        evidence = (
            f"With a weight decay of {decay:g} the loss of one batch goes from {_short(with_it[0])} to "
            f"{_short(with_it[-1])} in {calls} steps, without it to {_short(free[-1])}."
        )
        numbers = {"decay": decay, "with": with_it[-1], "without": free[-1]}
    else:
        strength, share = added
        if share < 1 or case.progress(losses) > 0.3:
            return None
        evidence = (
            f"The gradient in the step is that of the loss and {strength:.3g} times the parameters "
            f"themselves, which is {share:.2g} times as long: a penalty on the weights that pulls harder "
            "than the loss."
        )
        numbers = {"decay": strength, "share": share}
    return Finding(
        "weight-decay-too-large",
        "error",
        evidence,
        "Which norm of the weights would be the balance of the pull of the loss and that of the decay?",
        "Take a weight decay between 0 and about 0.01 (AdamW: up to 0.1), and compare validation losses.",
        numbers,
    )


def check_gradient_clipped(case: Case) -> Finding | None:
    """Find gradients that are clipped until nothing is left of them."""
    if not case.own_step:
        raise Unavailable("only your own step may clip gradients; pass step=…")
    if case.working.calls != 1 or not case.working.seen.optimizers:
        return None
    first = _joined(case.working.seen.gradients)
    second = _joined(case.window(case.data.other).seen.gradients)
    own = _joined(case.backward.gradients)
    if not len(first) == len(second) == len(own) or not bool(first.any()):
        return None
    norms, largest = (first.norm().item(), second.norm().item()), (first.abs().max(), second.abs().max())
    share = norms[0] / max(own.norm().item(), 1e-30)
    by_norm = abs(norms[0] / norms[1] - 1) < 1e-3
    by_value = abs((largest[0] / largest[1]).item() - 1) < 1e-3
    if share > 0.02 or not (by_norm or by_value):
        return None
    progress = case.progress(_untrained(case))
    if progress > 0.05:
        return None
    limit = norms[0] if by_norm else largest[0].item()
    return Finding(
        "gradient-clipped-to-nothing",
        "error",
        f"The gradient of the loss has norm {own.norm():.3g}; when the optimiser steps {share:.1g} of it is "
        f"left, and its {'norm' if by_norm else 'largest number'} is {limit:.3g} for every batch: it is "
        f"clipped there. {CALLS} steps go {max(progress, 0):.1%} of the way to the least loss.",
        "Which norms has the gradient without clipping?",
        "Clip at the norms that rare, large gradients have (often about 1), so that most are left alone.",
        {"norm": own.norm().item(), "share": share, "limit": limit},
    )


def check_cannot_overfit(case: Case) -> Iterator[Finding]:
    """Find a model that cannot learn a few examples by heart, or a step that cannot where the model can."""
    trained = case.trained
    if trained.learned is None:
        raise Unavailable("the least possible loss of the batch could not be found")
    learned, few = trained.learned, None
    rows = min(32, len(case.batch[0]))
    if learned < 0.5:
        few = _two(case)
        two = None if few is None else learn_by_heart(case, few).learned
        spread = (trained.output - trained.output[:1]).abs().max().item()
        if spread <= 1e-4 * (trained.output.abs().max().item() + 1e-12):
            yield Finding(
                "ignores-input",
                "error",
                f"After training on {rows} examples the outputs for all of them are still equal, to "
                f"{spread:.1g}: the model has learned the one output that is best for all.",
                "At which layer do two different inputs become the same?",
                "Print the standard deviation over the examples after each layer, from the inputs on.",
                {"spread": spread},
            )
            return
        stuck = two is not None and two < 0.5
        yield Finding(
            "cannot-overfit-one-batch",
            "error" if stuck else "note",
            f"Trained by Adam and by L-BFGS on {rows} examples, the model goes {max(learned, 0):.0%} of the "
            "way from the best constant output to the least loss"
            + (f", and on two examples {max(two, 0):.0%}." if two is not None else "."),
            "Is the model large enough, and is there a way from each input to each output?",
            "Start from a model that can learn two examples by heart, and add one thing at a time.",
            {"learned": learned, "two": two},
        )
        return
    if case.step is None or learned < 0.7:
        return
    losses = _untrained(case)
    progress = {1.0: case.progress(losses)}
    if progress[1.0] > 0.05:
        return
    for factor in (*SLOWER[:2], *FASTER[:3]):
        progress[factor] = case.progress(case.at(factor))
        if progress[factor] > 0.1:
            return
    yield Finding(
        "cannot-overfit-one-batch",
        "error",
        f"Adam learns {rows} examples by heart ({learned:.0%} of the way to the least loss), but your step "
        f"on the same batch goes {max(progress[1.0], 0):.1%} of the way, and with steps of 0.01 to 1000 "
        f"times the length at most {max(*progress.values(), 0):.1%}.",
        "What does the step do that zero_grad, loss(model(x), y).backward() and optimizer.step() do not?",
        "Reduce the step to these lines, and add one thing at a time.",
        {"learned": learned, "progress": progress[1.0]},
    )


CHECKS = (
    check_maximises_loss,
    check_learning_rate,
    check_weight_decay_too_large,
    check_gradient_clipped,
    check_cannot_overfit,
)


def _untrained(case: Case) -> list[float]:
    """Return the losses of the step as it is; say so if there is nothing left to learn of the batch."""
    if not any(bool(moved.any()) for moved in case.working.moved.values()):
        raise Unavailable("the step moves no parameter")
    losses = case.at(1.0)
    floor, constant = case.floor, case.constant
    if floor is None:
        raise Unavailable("the least possible loss of the batch could not be found")
    if constant is not None and losses[0] - floor < 0.3 * (constant - floor):
        raise Unavailable("the model has learned the batch already; pass a new one to see how it learns")
    return losses


def _optimizers(case: Case) -> list[torch.optim.Optimizer]:
    """Return the reader's optimisers, passed or noticed."""
    case.working  # noqa: B018 - those that nobody passed are noticed when they step
    return case.snapshot.optimizers


def _rates(case: Case) -> str:
    """Return the learning rates, for the evidence."""
    rates = sorted(
        {float(group["lr"]) for o in _optimizers(case) for group in o.param_groups if "lr" in group}
    )
    return f" The learning rate is {' and '.join(f'{rate:g}' for rate in rates[:3])}." if rates else ""


def _course(case: Case) -> list[float]:
    """Return the largest learning rate in each of the steps on one batch."""
    with case.fresh():
        rates = []
        for _ in range(CALLS):
            rates += [
                max((float(g["lr"]) for o in case.snapshot.optimizers for g in o.param_groups), default=0.0)
            ]
            case.call("the step", case.require_step(), *case.data.batch)
    return rates


def _is_worse(right: float, wrong: float) -> bool:
    """Return whether the loss of what is right is clearly the larger one."""
    return right - wrong > 0.05 * max(abs(right), abs(wrong))


def _right_and_wrong(case: Case) -> tuple[float, float] | None:
    """Return the loss of outputs that are right, and of outputs that are wrong; None if it is not clear."""
    output, y = case.output, case.batch[1]
    if output.shape == y.shape and y.is_floating_point() and not bool(((y == 0) | (y == 1)).all()):
        spread = max(y.std().item(), 1e-3)
        right, wrong = y, y + 3 * spread
    elif y.ndim == 1 and output.ndim == 2 and output.shape[1] > 1 and not y.is_floating_point():
        if int(y.max()) >= output.shape[1] or int(y.min()) < 0:
            return None
        chosen = torch.nn.functional.one_hot(y.long(), output.shape[1]).to(output.dtype)
        other = chosen.roll(1, 1)
        if bool(((output > 0) & (output <= 1)).all()):  # the loss may want probabilities
            chosen, other = (0.9 * part + 0.1 / output.shape[1] for part in (chosen, other))
        else:
            chosen, other = (5 * part for part in (chosen, other))
            if output.max() <= 0:  # or their logarithms
                chosen, other = chosen.log_softmax(1), other.log_softmax(1)
        right, wrong = chosen, other
    elif y.numel() == output.numel() == len(y) and bool(((y == 0) | (y == 1)).all()):
        sure = y.reshape(output.shape).to(output.dtype)
        if bool(((output > 0) & (output < 1)).all()):
            right, wrong = 0.8 * sure + 0.1, 0.9 - 0.8 * sure
        else:
            right, wrong = 6 * sure - 3, 3 - 6 * sure
    else:
        return None
    values = case.loss_of_output(right), case.loss_of_output(wrong)
    return values if all(map(math.isfinite, values)) else None


def _added_decay(case: Case) -> tuple[float, float] | None:
    """Return the factor of a penalty on the weights in the step, and its length over the gradient's."""
    if not case.own_step or case.working.calls != 1:
        return None
    own, theirs = case.backward.gradients, case.working.seen.gradients
    weights = {name: p.detach() for name, p in case.model.named_parameters()}
    names = [name for name in own if own[name] is not None and theirs.get(name) is not None]
    if not names:
        return None
    g, s, w = (
        torch.cat([part[name].reshape(-1).float() for name in names]) for part in (own, theirs, weights)
    )
    rest = s - g
    if not bool(rest.any()) or torch.cosine_similarity(rest, w, 0).item() < 0.8:
        return None
    return (rest @ w / (w @ w)).item(), (rest.norm() / g.norm().clamp_min(1e-30)).item()


def _two(case: Case) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return two examples of the batch with different inputs and different targets."""
    x, y = case.data.batch
    for place in range(1, len(x)):
        if bool((x[place] != x[0]).any()) and bool((y[place] != y[0]).any()):
            rows = torch.tensor([0, place], device=x.device)
            return x[rows], y[rows]
    return None


def _joined(gradients: dict[str, torch.Tensor | None]) -> torch.Tensor:
    parts = [gradient.reshape(-1).float() for gradient in gradients.values() if gradient is not None]
    return torch.cat(parts) if parts else torch.zeros(0)


def _short(loss: float) -> str:
    return f"{loss:.3g}" if math.isfinite(loss) else "no finite number"
