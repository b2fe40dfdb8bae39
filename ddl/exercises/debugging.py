"""Checkers of the exercises in the debugging chapter."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ddl.exercises.answers import number, result_of
from ddl.exercises.patients import Patient, fine_tuned, patients, regressor, with_state
from ddl.exercises.range_tests import check_curve, check_traces
from ddl.exercises.verdict import Hint, checker

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Batch = tuple[torch.Tensor, torch.Tensor]


@checker
def first_losses(ten: float, fresh: float, informed: float) -> str:
    """Check the cross-entropy of three models before training.

    Of a fresh classifier for ten classes; of a fresh binary one where 5 % are positive; and of the same where
    the output bias is set so that it says 5 % for everyone.
    """
    rare, common = -math.log(0.05), -math.log(0.95)
    entropy = 0.05 * rare + 0.95 * common
    for name, answer, wanted, slips in (
        (
            "ten",
            ten,
            math.log(10),
            (
                (math.log10(10), "is to base 10 in your answer; the natural logarithm is used."),
                (0.1, "is not the probability of the right class, but minus its logarithm."),
                (0.9, "is not the share of mistakes. It is minus the logarithm of a probability."),
                (math.log(10) / 10, "needs no division by 10: only the right class counts, with share 1."),
                (10.0, "is not 1/p, but its logarithm."),
            ),
        ),
        (
            "fresh",
            fresh,
            math.log(2),
            (
                (entropy, "is not that of a model that knows how rare the class is: a fresh one says 50 %."),
                (math.log10(2), "is to base 10 in your answer; the natural logarithm is used."),
                (0.5, "is not the probability, but minus its logarithm."),
                (rare, "counts the positive ones only, and with 5 %. A fresh model says 50 % for everyone."),
            ),
        ),
        (
            "informed",
            informed,
            entropy,
            (
                (entropy / math.log(10), "is to base 10 in your answer; the natural logarithm is used."),
                (math.log(2), "says 5 %, no longer 50 %. Both kinds of example pay, each by its share."),
                (rare, "is what a positive example pays. Only 5 % of the examples are positive."),
                (common, "is what a negative example pays. The few positive ones pay sixty times as much."),
                ((rare + common) / 2, "weighs both kinds alike. Take their shares: 5 % and 95 %."),
                (0.05 * rare, "lacks what the negative examples pay."),
                (0.95 * common, "lacks what the positive examples pay."),
                (0.05, "is not a probability, but the mean of minus logarithms."),
            ),
        ),
    ):  # fmt: skip
        given = number(name, answer)
        if math.isclose(given, -wanted, rel_tol=0.01):
            raise Hint(f"{name} is minus a logarithm: the loss is positive.")
        if math.isclose(given, wanted / math.log(2), rel_tol=0.01):
            raise Hint(f"{name} is in bits in your answer; PyTorch takes the natural logarithm.")
        for slip, hint in slips:
            if math.isclose(given, slip, rel_tol=0.01):
                raise Hint(f"{name} {hint}")
        if not math.isclose(given, wanted, rel_tol=0.01):
            raise Hint(
                f"{name} is not {given:.4g}. Which probability does the model give to the right answer?"
            )
    return "Right: and a first loss that is another says that something is wrong before the first step."


def _weighted(p: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Return the mean of weight times squared error; p and y are (n, 1), w is (n,)."""
    return (w[:, None] * (p - y).square()).mean()


SUBTRACTION = (
    "Now the subtraction broadcasts: one of prediction and y is (n,), the other (n, 1), "
    "and each prediction is compared with the targets of all others."
)
STEP_SLIPS = (
    (
        lambda p, y, w: (w * (p - y).square()).mean(),
        "weight is (n,) and the error (n, 1): their product is an (n, n) table, each error times "
        "each weight, as if there were no weights. Print the shape.",
    ),
    (lambda p, y, w: (w * (p.T - y).square()).mean(), SUBTRACTION),
    (lambda p, y, w: (w * (p - y.T).square()).mean(), SUBTRACTION),
    (lambda p, y, w: (p - y).square().mean(), "The weights have no effect any more."),
    (lambda p, y, w: _weighted(p, y, w) * len(w), "That is the sum; the mean is wanted."),
    (
        lambda p, y, w: _weighted(p, y, w) / w.mean(),
        "You divide by the sum of the weights. Divide by the number of examples: the mean is wanted.",
    ),
    (
        lambda p, y, w: _weighted(p, y, w.square()),
        "The weight stands inside the square, and is squared as well.",
    ),
    (
        lambda p, y, w: (w[:, None] * (p - y).abs()).mean(),
        "You take the absolute error, not its square.",
    ),
)
"""Losses that a repaired step may compute instead of the weighted one, with their hints."""


@checker
def weighted_step(step: Callable[..., float]) -> str:
    """Check a repaired step (model, optimizer, x, y, weight) on mean(weight · (prediction − y)²)."""
    for n in (6, 1):
        rng = np.random.default_rng(21)
        x, y, weight = (
            torch.tensor(values, dtype=torch.float32)
            for values in (rng.normal(size=(n, 3)), rng.normal(size=(n, 1)), rng.uniform(0.1, 3, size=n))
        )
        start = regressor()
        after, value = _stepped(step, start, x, y, weight)
        wanted = _weighted(start(x), y, weight)
        if not math.isclose(value, wanted.item(), rel_tol=1e-4):
            for slip, hint in STEP_SLIPS:
                if math.isclose(value, slip(start(x), y, weight).item(), rel_tol=1e-4):
                    raise Hint(hint)
            raise Hint(f"For a batch of {n} the loss is {wanted.item():.4g}; your step returns {value:.4g}.")
        gradients = torch.autograd.grad(wanted, list(start.parameters()))
        moves = [now - then for now, then in zip(after.parameters(), start.parameters(), strict=True)]
        if all(not move.any() for move in moves):
            raise Hint("The loss is right, but the parameters do not change: is it detached from them?")
        if not all(torch.allclose(m, -0.1 * g, atol=1e-5) for m, g in zip(moves, gradients, strict=True)):
            if all(
                torch.allclose(m, -0.1 * (g + 1), atol=1e-5) for m, g in zip(moves, gradients, strict=True)
            ):
                raise Hint("The gradients of the step before are still there: zero_grad has gone missing.")
            raise Hint("The loss is right, but the parameters do not move along its gradient.")
    return "Right: (n,) times (n, 1) raises no error and gives no warning. Only the shape tells."


@checker
def fine_tuning(prepare: Callable[[nn.Module, int], torch.optim.Optimizer]) -> str:
    """Check a repaired function (model, classes) -> optimiser: frozen body, new head, and it is trained."""
    model, x, y = fine_tuned()
    body = [parameter.clone() for parameter in model.body.parameters()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        optimizer = result_of(prepare, model, 4)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise Hint(f"Return the optimiser; your function returns {type(optimizer).__name__}.")
    if getattr(model.head, "out_features", None) != 4:
        raise Hint("The model's head has not 4 outputs for 4 classes.")
    head = list(model.head.parameters())
    if not any(parameter.requires_grad for parameter in head):
        raise Hint(
            "The new head is frozen with the rest: nothing is left to train. Freeze first, then replace."
        )
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if not any(id(parameter) in held for parameter in head):
        raise Hint(
            "The optimiser does not hold the parameters of the new head. It keeps those that it was given: "
            "if it is made first, these are the parameters of the head that you throw away."
        )
    if not all(id(parameter) in held and parameter.requires_grad for parameter in head):
        raise Hint("Only a part of the head is trained: it has a weight and a bias.")
    if any(parameter.requires_grad for parameter in model.body.parameters()):
        raise Hint("The body is no longer frozen.")
    losses = []
    for _ in range(20):
        loss = functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if not all(map(torch.equal, body, model.body.parameters())):
        raise Hint("The weights of the body are not those that were learned before.")
    if not losses[-1] < losses[0]:
        raise Hint(f"In 20 steps the loss goes from {losses[0]:.3g} to {losses[-1]:.3g}; it should fall.")
    return f"Right: in 20 steps the loss falls from {losses[0]:.2f} to {losses[-1]:.2f}."


@checker
def evaluation(evaluate: Callable[[nn.Module, Iterable[Batch]], float]) -> str:
    """Check a repaired function (model, batches) -> mean cross-entropy, which leaves the model as it was."""
    model, x, y = with_state()
    batches = list(zip(x.split(8), y.split(8), strict=True))
    quiet = copy.deepcopy(model).eval()
    with torch.no_grad():
        wanted = functional.cross_entropy(quiet(x), y).item()
        of_batches = np.mean([functional.cross_entropy(quiet(a), b).item() for a, b in batches])

    model.train()
    before = copy.deepcopy(model.state_dict())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        answers = [result_of(evaluate, model, batches) for _ in range(2)]
    after = model.state_dict()
    if any(not torch.equal(before[name], after[name]) for name in before if "running" in name):
        raise Hint(
            "The running statistics of batch norm have changed: no_grad stops gradients, not them. "
            "In training mode every batch moves them, also one that is only to be measured."
        )
    if any(not torch.equal(before[name], after[name]) for name in before):
        raise Hint("The model's weights or buffers have changed.")
    if isinstance(answers[0], torch.Tensor) and answers[0].requires_grad:
        raise Hint("What you return still holds the graph of all batches: no_grad has gone missing.")
    first, second = (number("The mean", answer) for answer in answers)
    if first != second:
        raise Hint("Two evaluations of the same model differ: dropout is still on.")
    if math.isclose(first, of_batches, rel_tol=1e-4):
        raise Hint(
            "That is the mean of the batches' means. The last batch is smaller: weigh each by its size."
        )
    if not math.isclose(first, wanted, rel_tol=1e-4):
        raise Hint(f"The mean cross-entropy in evaluation mode is {wanted:.4g}; you return {first:.4g}.")
    if any(parameter.grad is not None for parameter in model.parameters()):
        raise Hint("The number is right, but the parameters have gradients now.")
    if not all(parameter.requires_grad for parameter in model.parameters()):
        raise Hint("The number is right, but parameters have been frozen.")
    if not model.training:
        raise Hint("The number is right, but the model stays in evaluation mode, and will be trained in it.")
    model.eval()
    evaluate(model, batches)
    if model.training:
        raise Hint("A model that came in evaluation mode leaves in training mode. Remember what it was.")
    model.train()
    model[1].eval()
    evaluate(model, batches)
    if [module.training for module in model] != [True, False, True, True, True]:
        raise Hint(
            "One layer was in evaluation mode on purpose, as a frozen batch norm is, and is so no longer: "
            "train() and eval() reach all modules. Remember the mode of each of model.modules()."
        )
    return "Right: the number, the statistics, and the mode of every layer."


@checker
def no_gradient(find: Callable[[nn.Module, torch.Tensor, torch.Tensor, Loss], Sequence[str]]) -> str:
    """Check a function (model, x, y, loss) -> names of trainable parameters whose gradient is None or 0."""
    for patient in patients():
        found = _named_by(find, patient)
        silent = set(patient.silent)
        if found == silent:
            continue
        names = {name for name, _ in patient.model.named_parameters()}
        if not found <= names:
            raise Hint(
                f"There is no parameter {min(found - names)!r}; give the names that named_parameters() gives."
            )
        if silent and found == names - silent:
            raise Hint("The other way round: these are the parameters that do get a gradient.")
        raise Hint(patient.missed if silent - found else patient.accused)
    return f"Right, for {len(patients())} models."


@checker
def range_test(function: Callable[..., Sequence[float]]) -> str:
    """Check a range test (model, optimizer, loss, x, y, rates) -> losses, that leaves no trace."""
    check_curve(function)
    check_traces(function)
    return "Right: the curve, and everything is as it was before."


def _stepped(
    step: Callable[..., float], start: nn.Module, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor
) -> tuple[nn.Module, float]:
    """Let the reader's step train a copy, which has gradients of 1 from before; return it and the loss."""
    model = copy.deepcopy(start)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    value = number("The loss", result_of(step, model, optimizer, x.clone(), y.clone(), weight.clone()))
    return model, value


def _named_by(find: Callable[..., Sequence[str]], patient: Patient) -> set[str]:
    """Return the names that the reader's function gives, which must leave the weights alone."""
    before = copy.deepcopy(patient.model.state_dict())
    try:
        names = result_of(find, patient.model, patient.x, patient.y, functional.cross_entropy)
    except (AttributeError, TypeError) as error:
        if "NoneType" in str(error):
            raise Hint(
                "The gradient of a parameter that is not used at all is None. Ask for that first."
            ) from error
        raise
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise Hint(f"Return a list of names; your function returns {type(names).__name__}.")
    if not all(torch.equal(before[name], value) for name, value in patient.model.state_dict().items()):
        raise Hint("Your function has changed the weights. Look at gradients; do not take a step.")
    names = [name[0] if isinstance(name, tuple) and name else name for name in names]
    if not all(isinstance(name, str) for name in names):
        raise Hint(f"Return names; your list holds {type(names[0]).__name__}.")
    return set(names)
