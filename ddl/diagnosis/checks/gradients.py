"""Checks of the gradients: who gets one, and how large it is from layer to layer."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn

from ddl.diagnosis.case import Case
from ddl.diagnosis.checks.steps import listed
from ddl.diagnosis.report import Finding

STEPS = ("argmax()", "round()", "sign()")
"""Operations that are flat wherever they have a derivative."""


def check_no_gradient(case: Case) -> Iterator[Finding]:
    """Find parameters that no gradient reaches, and what cuts them off."""
    if not any(parameter.requires_grad for parameter in case.model.parameters()):
        return
    yield from _in_step(case)
    backward = case.backward
    wanting = [name for name, p in case.model.named_parameters() if p.requires_grad]
    without = [name for name in wanting if backward.gradients[name] is None]
    if not without:
        yield from _flat(case)
        return
    cuts = list(dict.fromkeys(backward.seen.cuts + ([] if backward.tracked else backward.seen.outer_cuts)))
    called = [name for name in without if name.rpartition(".")[0] in backward.seen.called]
    unused = [name for name in without if name not in called]
    if called and (len(called) == len(wanting) or cuts or backward.unrecorded):
        yield _cut(called, wanting, cuts, inside=bool(backward.unrecorded))
    elif called:
        unused = without
    if unused:
        yield Finding(
            "unused-parameters",
            "warning",
            f"{listed(unused)} {'want' if len(unused) > 1 else 'wants'} gradients, but the output does not "
            f"depend on {'them' if len(unused) > 1 else 'it'}: forward() does not use "
            f"{'these' if len(unused) > 1 else 'this'} {len(unused)} of {len(wanting)} tensors.",
            "Is the layer that was made also the one that is called?",
            "Call it in forward(), or do not make it.",
            {"unused": unused},
        )


def _cut(called: list[str], wanting: list[str], cuts: list[str], *, inside: bool) -> Finding:
    """Return the finding of parameters that are used, and get no gradient."""
    flat = [cut for cut in cuts if cut in STEPS]
    hard = [cut for cut in cuts if cut not in STEPS]
    how = f": {', '.join(hard or flat)} ends the gradient" if cuts else ""
    if not cuts and inside:
        how = ": they are called where no gradients are recorded, as under torch.no_grad()"
    return Finding(
        "detached" if hard else "no-gradient",
        "error",
        f"{len(called)} of {len(wanting)} tensors of parameters get no gradient, although their layers are "
        f"called: {listed(called)}{how}.",
        "Between these layers and the loss, which operation leaves autograd?",
        "Stay with tensors from the parameters to the loss: no detach(), .data, .numpy(), .item() or "
        "torch.tensor() on the way, no torch.no_grad() around it, nothing that counts or rounds in the loss.",
        {"tensors": called, "cuts": cuts},
    )


def _flat(case: Case) -> Iterator[Finding]:
    """Find weights whose gradient is exactly 0, now and all through a training of ours."""
    still = [
        name
        for name, parameter in case.model.named_parameters()
        if parameter.requires_grad and parameter.ndim > 1 and not bool(case.backward.gradients[name].any())
        and torch.equal(parameter.detach(), case.trained.parameters[name])
    ]  # fmt: skip
    steps = [
        cut for cut in dict.fromkeys(case.backward.seen.cuts + case.backward.seen.outer_cuts) if cut in STEPS
    ]
    if not still or not steps:
        return
    yield Finding(
        "no-gradient",
        "error",
        f"The gradient of {listed(still)} is exactly 0 for every batch: {', '.join(steps)} is flat wherever "
        "it has a derivative.",
        "Is there a step between these weights and the loss, where a slope is needed?",
        "Leave the rounding out in training, or let the gradient pass it: h + (h.round() - h).detach().",
        {"tensors": still, "cuts": steps},
    )


def _in_step(case: Case) -> Iterator[Finding]:
    """Find what the step cuts off, though model and loss do not."""
    if not case.own_step:
        return
    seen = case.first.seen
    if seen.error is not None and "does not require grad" in str(seen.error):
        hard = [cut for cut in seen.cuts + seen.outer_cuts if cut not in STEPS]
        recorded = all(forward.records for forward in seen.forwards)
        what = f"{hard[0]} ends the gradient" if hard and recorded else "the loss has no gradient"
        if not recorded:
            what = "the model is called where no gradients are recorded, as under torch.no_grad()"
        yield Finding(
            "detached" if hard and recorded else "no-gradient",
            "error",
            f"backward() fails in the step: {what}.",
            "From the output on, which operation leaves autograd?",
            "Compute the loss from the output with tensor operations only, outside torch.no_grad().",
            {"cuts": hard},
        )
        return
    if seen.error is not None or "backward" not in seen.events:
        return
    own = case.backward.gradients
    gone = [
        name
        for name, parameter in case.model.named_parameters()
        if parameter.requires_grad and own[name] is not None and bool(own[name].any())
        and seen.gradients.get(name) is None and not bool(case.first.moved[name].any())
    ]  # fmt: skip
    cut_off = not seen.reached or any(gradient is not None for gradient in seen.gradients.values())
    if gone and cut_off:
        yield _cut(gone, list(own), seen.cuts + seen.outer_cuts, inside=False)


def check_frozen_parameters(case: Case) -> Finding | None:
    """Find parameters that do not want gradients."""
    parameters = dict(case.model.named_parameters())
    frozen = [name for name, parameter in parameters.items() if not parameter.requires_grad]
    if not frozen:
        return None
    held = {
        id(parameter)
        for optimizer in ([case.optimizer] if case.optimizer is not None else [])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    in_optimizer = [name for name in frozen if id(parameters[name]) in held]
    everything = len(frozen) == len(parameters)
    share = sum(parameters[name].numel() for name in frozen) / sum(p.numel() for p in parameters.values())
    also = f"; the optimiser holds {len(in_optimizer)} of them all the same" if in_optimizer else ""
    return Finding(
        "frozen-parameters",
        "error" if everything else "warning" if in_optimizer else "note",
        f"{len(frozen)} of {len(parameters)} tensors of parameters, {share:.0%} of the numbers, have "
        f"requires_grad=False and stay as they are: {listed(frozen)}{also}.",
        "Are they frozen on purpose, and were they trained before?",
        "Call requires_grad_(True) on what is to be trained, and leave the rest out of the optimiser.",
        {"frozen": frozen, "share": share},
    )


def check_flow(case: Case) -> Iterator[Finding]:
    """Find gradients that vanish or explode on their way from the loss to the first layer."""
    norms = case.backward.layers
    if len(norms) >= 3 and all(math.isfinite(norm) for norm in norms.values()):
        names = list(norms)
        first, last = norms[names[0]], max(norms[names[-1]], 1e-30)
        ratio = first / last
        numbers = {"ratio": ratio, "first": first, "last": last, "layers": len(norms)}
        evidence = (
            f"The gradient has norm {last:.2g} at {names[-1]} and {first:.2g} at {names[0]}, a ratio of "
            f"{ratio:.1g} over {len(norms)} layers"
        )
        if ratio < 1e-3 and not (ratio == 0 and (case.trained.learned or 0) > 0.5):
            stuck = case.step is not None and case.progress(case.at(1.0)) < 0.2
            yield Finding(
                "vanishing-gradients",
                "error" if ratio < 1e-5 and (stuck or case.step is None) else "warning",
                f"{evidence}.",
                "By which factor does each layer shrink the gradient: its weights, or a flat activation?",
                "Use ReLU and an initialisation made for it (He), a norm after each layer, or residual "
                "connections.",
                numbers,
            )
        elif ratio > 100:
            yield Finding(
                "exploding-gradients",
                "error" if ratio > 1e4 else "warning",
                f"{evidence}.",
                "How large are the weights of each layer, compared with 1/√(number of inputs)?",
                "Initialise for the activation in use (Xavier, He), add norms, and clip the gradient.",
                numbers,
            )
            return
    gradients = [g for g in case.backward.gradients.values() if g is not None]
    norm = math.sqrt(sum(g.double().square().sum().item() for g in gradients))
    size = math.sqrt(sum(p.detach().double().square().sum().item() for p in case.model.parameters()))
    relative = norm * size / max(abs(case.backward.loss), abs(case.constant or 0), 1e-12)
    if relative > 1e4:
        yield Finding(
            "exploding-gradients",
            "error" if relative > 1e6 else "warning",
            f"The gradient has norm {norm:.3g} where the loss is {case.backward.loss:.3g} and the parameters "
            f"have norm {size:.3g}: a change of the parameters by 1 part in {relative:.2g} would change the "
            "loss by all of it.",
            "Which layer, or which time step, multiplies the gradient?",
            "Initialise for the activation in use, scale inputs and targets, and clip the gradient.",
            {"norm": norm, "relative": relative},
        )


def check_equal_units(case: Case) -> Iterator[Finding]:
    """Find layers whose units start as one and stay one."""
    stuck: dict[str, list[str]] = {"zero-initialisation": [], "symmetric-units": []}
    for name, module in case.model.named_modules():
        weight = getattr(module, "weight", None)
        if not isinstance(module, nn.Linear | nn.modules.conv._ConvNd) or not isinstance(
            weight, nn.Parameter
        ):
            continue
        key = f"{name}.weight" if name else "weight"
        if (
            len(weight) < 2
            or not weight.requires_grad
            or not _equal(weight)
            or key not in case.trained.parameters
        ):
            continue
        if _equal(case.trained.parameters[key]):
            kind = "symmetric-units" if bool(weight.any()) else "zero-initialisation"
            stuck[kind].append(name or type(module).__name__)
    for kind, names in stuck.items():
        if not names:
            continue
        zero = kind == "zero-initialisation"
        yield Finding(
            kind,
            "error",
            f"All weights of {listed(names)} are {'0' if zero else 'the same for every unit'} at the start, "
            "and after training on a few examples they are still the same for every unit: all units of a "
            "layer compute one number.",
            "What makes one unit of a layer different from the next?",
            "Draw the weights at random, as PyTorch does; only biases, and the last layer of a branch, may "
            "be 0.",
            {"layers": names},
        )


def check_units(case: Case) -> Iterator[Finding]:
    """Find units that are dead or saturated."""
    dead: dict[str, float] = {}
    flat: dict[str, float] = {}
    few = 0
    output = case.output
    for place, (module, kind, values) in enumerate(case.activations):
        if len(values) < 10 or values.ndim < 2:
            continue
        if kind == "relu":
            units = values.movedim(1, -1) if values.ndim in (4, 5) else values
            alive = (units > 0).reshape(-1, units.shape[-1]).any(0)
            share = 1 - alive.float().mean().item()
            few = max(few, len(alive)) if share > 0.6 else few
            if share > 0.6 and len(alive) >= 2:
                dead[module] = share
        elif not (place == len(case.activations) - 1 and values.shape[1:] == output.shape[1:]):
            beyond = values.abs() > 0.97 if kind == "tanh" else (values < 0.03) | (values > 0.97)
            share = beyond.float().mean().item()
            if share > 0.5:
                flat[module] = share
    for name, shares, what in (("dead-units", dead, "0 for all"), ("saturated-units", flat, "saturated for")):
        if not shares:
            continue
        worst = max(shares, key=shares.__getitem__)
        relu = name == "dead-units"
        enough = shares[worst] > (0.95 if relu else 0.9) and (not relu or few >= 4)
        yield Finding(
            name,
            "error" if enough else "warning",
            f"{shares[worst]:.0%} of what {worst} puts out is {what} "
            + (
                f"{min(512, len(case.data.sample[0]))} examples"
                if relu
                else "practical purposes: no gradient passes"
            )
            + (f"; {len(shares)} layers are like this: {listed(list(shares))}." if len(shares) > 1 else "."),
            "Are the inputs, the weights or the biases too large, or was the learning rate?",
            "Scale the inputs, initialise the weights for the activation and the biases with 0, lower the "
            "learning rate; a leaky ReLU cannot die.",
            {"share": shares[worst], "layers": list(shares)},
        )


CHECKS = (check_no_gradient, check_frozen_parameters, check_flow, check_equal_units, check_units)


def _equal(weight: torch.Tensor) -> bool:
    """Return whether all units of a layer have the same weights, to rounding."""
    weight = weight.detach()
    scale = weight.abs().max().item()
    return (weight - weight[:1]).abs().max().item() <= 1e-4 * scale + 1e-9
