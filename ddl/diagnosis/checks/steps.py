"""Checks of the training step: what it does with gradients and parameters."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ddl.diagnosis.case import Case
from ddl.diagnosis.errors import Unavailable, describe
from ddl.diagnosis.report import Finding
from ddl.diagnosis.watching import differing


def check_step_runs(case: Case) -> Finding | None:
    """Find a model, a loss or a step that raises."""
    x, y = case.batch
    seen = None
    try:
        case.output  # noqa: B018 - measured here for the first time
    except Unavailable as reason:
        if "raised" in str(reason):
            return Finding(
                "forward-fails",
                "error",
                f"For x of shape {tuple(x.shape)} and {x.dtype}, {reason}.",
                "Does the first layer take as many features as x has, and each layer what the one before "
                "puts out?",
                "Call the layers one by one, and print the shape after each.",
                {"shape": tuple(x.shape)},
            )
    try:
        case.backward  # noqa: B018
    except Unavailable as reason:
        failed = str(reason)
    else:
        if case.step is None:
            return None
        seen = case.first.seen
        failed = f"the step raised {describe(seen.error)}" if seen.error is not None else ""
    if not failed:
        return None
    return Finding(
        "step-fails",
        "error",
        f"For x of shape {tuple(x.shape)} and y of shape {tuple(y.shape)} and {y.dtype}, {failed}.",
        "Which line raises it, and what are shape and dtype of each tensor in this line?",
        "Call model, loss and backward one by one on this batch; class labels for cross_entropy are int64 "
        "of shape (n,), targets of a regression have the dtype and shape of the output.",
        {"x": tuple(x.shape), "y": tuple(y.shape)},
    )


def check_no_backward(case: Case) -> Finding | None:
    """Find a step that computes no gradients."""
    seen = case.working.seen
    if "backward" in seen.events or any(gradient is not None for gradient in seen.gradients.values()):
        return None
    if any(bool(moved.any()) for moved in case.working.moved.values()):
        return None  # it moves the parameters in a way of its own
    done = f", an optimiser stepped {seen.events.count('step')} times" if "step" in seen.events else ""
    return Finding(
        "no-backward",
        "error",
        f"In {case.working.calls} calls of the step no backward() ran{done}, and no parameter has a "
        "gradient.",
        "What is to compute the gradients?",
        "Call loss.backward() between computing the loss and optimizer.step().",
        {"calls": case.working.calls},
    )


def check_parameters_not_changing(case: Case) -> Finding | None:
    """Find a step after which all parameters are what they were."""
    window = case.working
    moving = [name for name, moved in window.moved.items() if bool(moved.any())]
    trainable = [name for name, parameter in case.model.named_parameters() if parameter.requires_grad]
    if not trainable:
        return None
    if moving:
        return _some_not_changing(case)
    events, rates = window.seen.events, {g["lr"] for o in window.seen.optimizers for g in o.param_groups}
    if "step" not in events:
        why = "no optimiser stepped"
        remedy = "Call optimizer.step() after loss.backward()."
    elif "backward" in events and events.index("step") < events.index("backward"):
        why = "the optimiser steps before backward() runs, when there are no gradients yet"
        remedy = "Put the lines in the order zero_grad(), backward(), step()."
    elif not any(g is not None and bool(g.any()) for g in window.seen.gradients.values()):
        why = "backward() ran, but when the optimiser stepped all gradients of the model were none or zero"
        remedy = (
            "Call zero_grad() before backward(), never between it and step(); and make the optimiser with "
            "the parameters of this model."
        )
    elif all(float(rate) == 0 for rate in rates):
        why = "the optimiser steps with a learning rate of 0"
        remedy = "Set a learning rate above 0, and see what the schedule makes of it."
    else:
        why = "the optimiser stepped, and holds other parameters"
        remedy = "Make the optimiser after the model, with model.parameters()."
    return Finding(
        "parameters-not-changing",
        "error",
        f"After {window.calls} calls of the step none of the {len(trainable)} tensors of parameters differs: "
        f"{why}.",
        "Does optimizer.step() run, with gradients, on the parameters of this very model?",
        remedy,
        {"calls": window.calls, "tensors": len(trainable)},
    )


def _some_not_changing(case: Case) -> Finding | None:
    """Find parameters that an optimiser holds, that have a gradient, and that stay."""
    seen = case.working.seen
    rates = {id(p): g["lr"] for o in seen.optimizers for g in o.param_groups for p in g["params"]}
    norms = {name: g.norm().item() for name, g in seen.gradients.items() if g is not None}
    large = 1e-3 * max(
        norms.values(), default=0.0
    )  # a bias before batch norm has a gradient of rounding errors
    still = [
        name
        for name, parameter in case.model.named_parameters()
        if id(parameter) in rates and parameter.requires_grad and not bool(case.working.moved[name].any())
        and norms.get(name, 0.0) > large
    ]  # fmt: skip
    if not still:
        return None
    zero = all(float(rates[id(dict(case.model.named_parameters())[name])]) == 0 for name in still)
    return Finding(
        "parameters-not-changing",
        "error",
        f"The optimiser steps and has a gradient for {listed(still)}, which "
        f"{'stays' if len(still) == 1 else 'stay'} as before"
        + (": the learning rate is 0." if zero else "."),
        "What sets these parameters back, or holds them?",
        "Give each group of parameters a learning rate above 0, and overwrite no parameters in the step.",
        {"tensors": still},
    )


def check_gradients_not_zeroed(case: Case) -> Finding | None:
    """Find a step in which the gradients of the batch before live on."""
    window = case.working
    if not any(bool(moved.any()) for moved in window.moved.values()):
        raise Unavailable("the step moves no parameter")
    clean = _joined(window.moved)
    first = _joined({name: g for name, g in window.seen.gradients.items() if g is not None})
    if not bool(clean.isfinite().all()):
        raise Unavailable("the step makes parameters that are not finite")
    if _distance(_joined(case.window().moved), clean) > 0.01:
        raise Unavailable("the step does something else each time, even with the same random numbers")
    after = case.window(gradients_from=case.data.other)
    again = case.window(gradients_from=case.data.batch)
    if after.seen.error is not None or again.seen.error is not None:
        raise Unavailable("the step raises when it is called twice")
    change = _distance(_joined(after.moved), clean)
    repeated = _distance(_joined(again.moved), clean)
    second = _joined({name: g for name, g in again.seen.gradients.items() if g is not None})
    growth = second.norm().item() / max(first.norm().item(), 1e-30) if len(first) == len(second) else 1.0
    if max(change, repeated) < 0.02:
        return None
    return Finding(
        "gradients-not-zeroed",
        "error",
        f"What the step does to the parameters depends on the batch before: it differs by {change:.0%} of "
        f"its length after another batch. After the same batch twice the gradient is {growth:.2f} times as "
        "long.",
        "Where are the gradients of the batch before cleared?",
        "Call optimizer.zero_grad() once before each backward(), or right after optimizer.step().",
        {"change": change, "growth": growth},
    )


def check_training_in_eval_mode(case: Case) -> Finding | None:
    """Find a step that trains with dropout or batch norm switched to evaluation."""
    if not case.own_step:
        raise Unavailable("only your own step shows in which mode you train; pass step=…")
    forwards = [forward for forward in case.working.seen.forwards if forward.records]
    parts = differing(case.model)
    if not forwards or not parts or forwards[0].training:
        return None
    trained = {
        name
        for name, module in parts.items()
        if any(p.requires_grad for p in module.parameters()) or not any(True for _ in module.parameters())
    }
    if not trained:
        return None  # the statistics of a backbone that is frozen on purpose stay as they are
    return Finding(
        "training-in-eval-mode",
        "error",
        f"While the step runs, {listed(sorted(parts))} {'is' if len(parts) == 1 else 'are'} in evaluation "
        "mode: dropout drops nothing, batch norm neither uses nor learns the statistics of the batches.",
        "Which call of eval() came last, and where is train() called after it?",
        "Call model.train() at the beginning of each epoch, or of the step.",
        {"modules": sorted(parts)},
    )


def check_parameters_not_in_optimizer(case: Case) -> Iterator[Finding]:
    """Find parameters that no optimiser holds, and layers that the model does not know of."""
    hidden = _hidden_layers(case.model)
    if hidden:
        yield Finding(
            "parameters-not-in-optimizer",
            "error",
            f"{listed(hidden)} {'is' if len(hidden) == 1 else 'are'} kept in a Python container: the layers "
            "in it are not registered, and model.parameters() leaves their parameters out.",
            "Does print(model) show all layers?",
            "Keep the layers in an nn.ModuleList or nn.ModuleDict, parameters in an nn.ParameterList.",
            {"containers": hidden},
        )
        return
    optimizers = [case.optimizer] if case.optimizer is not None else []
    if case.step is not None:
        optimizers += case.working.seen.optimizers
    if not optimizers:
        raise Unavailable("there is no optimiser; pass optimizer=…")
    held = {id(parameter) for o in optimizers for group in o.param_groups for parameter in group["params"]}
    moved = case.working.moved if case.step is not None else {}
    missing = [
        name
        for name, parameter in case.model.named_parameters()
        if parameter.requires_grad
        and id(parameter) not in held
        and not (name in moved and bool(moved[name].any()))
    ]
    if not missing:
        return
    total = sum(1 for _ in case.model.parameters())
    numbers = sum(dict(case.model.named_parameters())[name].numel() for name in missing)
    foreign = len(held - {id(parameter) for parameter in case.model.parameters()})
    none = "; it holds the parameters of something else" if len(missing) == total and foreign else ""
    yield Finding(
        "parameters-not-in-optimizer",
        "error",
        f"{len(missing)} of {total} tensors of parameters want gradients, but no optimiser holds them: "
        f"{listed(missing)} ({numbers} numbers){none}.",
        "Was the optimiser made before these layers, or of another copy of the model?",
        "Make the optimiser after the model is complete, with model.parameters(); freeze on purpose with "
        "requires_grad_(False).",
        {"missing": missing, "numbers": numbers},
    )


CHECKS = (
    check_step_runs,
    check_no_backward,
    check_parameters_not_changing,
    check_gradients_not_zeroed,
    check_training_in_eval_mode,
    check_parameters_not_in_optimizer,
)


def _hidden_layers(model: nn.Module) -> list[str]:
    """Return the names of attributes that hold layers or parameters which are not registered."""
    known = {id(parameter) for parameter in model.parameters()}
    hidden = []
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            inside = list(value.values()) if isinstance(value, dict) else value
            if attribute.startswith("_") or not isinstance(inside, list | tuple):
                continue
            parameters = [
                parameter
                for part in inside
                for parameter in (part.parameters() if isinstance(part, nn.Module) else [part])
                if isinstance(parameter, nn.Parameter)
            ]
            if any(parameter.requires_grad and id(parameter) not in known for parameter in parameters):
                hidden.append(f"{name}.{attribute}" if name else attribute)
    return hidden


def _joined(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    return (
        torch.cat([tensor.reshape(-1).float() for tensor in tensors.values()]) if tensors else torch.zeros(0)
    )


def _distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the distance of two vectors as a share of the length of the second."""
    return ((first - second).norm() / second.norm().clamp_min(1e-30)).item()


def listed(names: list[str]) -> str:
    """Return names in a row, the first of many."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
