"""The debugging chapter's checkers take every right answer, and know the usual misunderstandings."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from verdicts import assert_hint, is_right, parameter

from ddl.exercises import debugging
from ddl.exercises.patients import fine_tuned, patients, with_state

# The first loss

TEN, FRESH = math.log(10), math.log(2)
INFORMED = -0.05 * math.log(0.05) - 0.95 * math.log(0.95)


def test_first_losses_are_those_of_cross_entropy():
    y = torch.arange(100) % 10
    ten = F.cross_entropy(torch.zeros(100, 10), y)
    rare = (torch.arange(100) < 5).float()
    fresh = F.binary_cross_entropy_with_logits(torch.zeros(100), rare)
    informed = F.binary_cross_entropy_with_logits(torch.full((100,), math.log(0.05 / 0.95)), rare)
    assert is_right(debugging.first_losses(ten, fresh, informed))
    assert is_right(debugging.first_losses(np.array([2.303]), parameter(0.693), 0.1985))


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ((1.0, FRESH, INFORMED), "ten is to base 10"),
        ((math.log2(10), FRESH, INFORMED), "ten is in bits"),
        ((-TEN, FRESH, INFORMED), "ten is minus a logarithm: the loss is positive"),
        ((0.1, FRESH, INFORMED), "ten is not the probability of the right class"),
        ((0.9, FRESH, INFORMED), "ten is not the share of mistakes"),
        ((TEN / 10, FRESH, INFORMED), "ten needs no division by 10"),
        ((10, FRESH, INFORMED), "ten is not 1/p"),
        ((TEN, INFORMED, INFORMED), "fresh is not that of a model that knows how rare the class is"),
        ((TEN, 1.0, INFORMED), "fresh is in bits"),
        ((TEN, 0.30103, INFORMED), "fresh is to base 10"),
        ((TEN, 0.5, INFORMED), "fresh is not the probability"),
        ((TEN, -math.log(0.05), INFORMED), "fresh counts the positive ones only"),
        ((TEN, FRESH, FRESH), "informed says 5 %, no longer 50 %"),
        ((TEN, FRESH, INFORMED / math.log(2)), "informed is in bits"),
        ((TEN, FRESH, INFORMED / math.log(10)), "informed is to base 10"),
        ((TEN, FRESH, -math.log(0.05)), "informed is what a positive example pays"),
        ((TEN, FRESH, -math.log(0.95)), "informed is what a negative example pays"),
        ((TEN, FRESH, -math.log(0.05 * 0.95) / 2), "informed weighs both kinds alike"),
        ((TEN, FRESH, -0.05 * math.log(0.05)), "informed lacks what the negative examples pay"),
        ((TEN, FRESH, -0.95 * math.log(0.95)), "informed lacks what the positive examples pay"),
        ((TEN, FRESH, 0.05), "informed is not a probability"),
        ((TEN, FRESH, 0.25), "informed is not 0.25. Which probability"),
        ((TEN, FRESH, [1, 2]), "informed has shape (2,); one number is wanted."),
    ],
)
def test_first_losses_have_a_hint_for_each_misunderstanding(answers, words):
    assert_hint(debugging.first_losses(*answers), words)


def test_one_missing_first_loss_is_an_exercise_not_attempted():
    assert debugging.first_losses(TEN, ..., INFORMED).attempted is False


# A step with weights


def step_on(loss, *, zero=True, move=True, value=lambda loss: loss.item()):
    """A training step on a loss of (prediction, y, weight), with the slips that the checker knows."""

    def step(model, optimizer, x, y, weight):
        result = loss(model(x), y, weight)
        if zero:
            optimizer.zero_grad()
        result.backward()
        if move:
            optimizer.step()
        return value(result)

    return step


def weighted(prediction, y, weight):
    return (weight.unsqueeze(1) * (prediction - y).square()).mean()


@pytest.mark.parametrize(
    "step",
    [
        step_on(weighted),
        step_on(weighted, value=lambda loss: loss),
        step_on(lambda p, y, w: (w * (p - y).square().squeeze(1)).mean()),
        step_on(lambda p, y, w: (w * (p.squeeze() - y.squeeze()) ** 2).mean()),
        step_on(lambda p, y, w: (w * F.mse_loss(p, y, reduction="none")[:, 0]).mean()),
        step_on(lambda p, y, w: w @ (p - y)[:, 0].square() / len(w)),
    ],
    ids=["unsqueeze", "tensor", "squeeze", "all flat", "mse_loss", "dot product"],
)
def test_weighted_step_takes_any_way_to_make_the_shapes_fit(step):
    assert is_right(debugging.weighted_step(step))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (step_on(lambda p, y, w: (w * (p - y).square()).mean()), "their product is an (n, n) table"),
        (step_on(lambda p, y, w: (w * (p.squeeze(1) - y).square()).mean()), "Now the subtraction broadcasts"),
        (step_on(lambda p, y, w: (w * (p - y.squeeze(1)).square()).mean()), "Now the subtraction broadcasts"),
        (
            step_on(lambda p, y, w: (w[:, None] * (p - y[:, 0]).square()).mean()),
            "Now the subtraction broadcasts",
        ),
        (step_on(lambda p, y, w: (p - y).square().mean()), "The weights have no effect any more."),
        (step_on(lambda p, y, w: (w[:, None] * (p - y).square()).sum()), "That is the sum"),
        (
            step_on(lambda p, y, w: weighted(p, y, w) * len(w) / w.sum()),
            "You divide by the sum of the weights",
        ),
        (
            step_on(lambda p, y, w: (w[:, None] * (p - y)).square().mean()),
            "The weight stands inside the square",
        ),
        (step_on(lambda p, y, w: (w[:, None] * (p - y).abs()).mean()), "You take the absolute error"),
        (step_on(weighted, zero=False), "zero_grad has gone missing"),
        (step_on(weighted, move=False), "the parameters do not change"),
        (
            step_on(lambda p, y, w: weighted(p, y, w) + 3 * (p - p.detach()).sum()),
            "the parameters do not move along its gradient",
        ),
        (step_on(lambda p, y, w: weighted(p, y, w) + 1), "For a batch of 6 the loss is"),
        (step_on(weighted, value=lambda loss: None), "Your function returns None."),
        (
            step_on(lambda p, y, w: weighted(p, y, w) if len(w) > 1 else weighted(p, y, 2 * w)),
            "For a batch of 1 the loss is",
        ),
        (step_on(lambda p, y, w: weighted(p.detach(), y, w)), "Your answer raised RuntimeError"),
    ],
)
def test_weighted_step_has_a_hint_for_each_misunderstanding(step, words):
    assert_hint(debugging.weighted_step(step), words)


def test_a_step_that_is_not_written_is_not_attempted():
    assert debugging.weighted_step(...).attempted is False


# A new head


def prepared(*, freeze="first", make="last", of=lambda model: model.head.parameters(), classes=None):
    """Freeze, replace the head and make the optimiser, in an order that may be wrong."""

    def prepare(model, wanted):
        if freeze == "first":
            model.requires_grad_(False)
        if make == "first":
            optimizer = torch.optim.SGD(of(model), lr=0.1)
        model.head = nn.Linear(model.head.in_features, classes or wanted)
        if freeze == "last":
            model.requires_grad_(False)
        if freeze == "first":
            assert not any(parameter.requires_grad for parameter in model.body.parameters())
        return torch.optim.SGD(of(model), lr=0.1) if make == "last" else optimizer

    return prepare


def added_later(model, classes):
    optimizer = torch.optim.SGD(model.requires_grad_(False).parameters(), lr=0.1)
    model.head = nn.Linear(8, classes)
    optimizer.add_param_group({"params": model.head.parameters()})
    return optimizer


def refreshed(model, classes):
    optimizer = prepared()(model, classes)
    model.body[0].reset_parameters()
    return optimizer


def half_frozen(model, classes):
    optimizer = prepared()(model, classes)
    model.head.bias.requires_grad_(False)
    return optimizer


def uphill(model, classes):
    prepared()(model, classes)
    return torch.optim.SGD(model.head.parameters(), lr=0.1, maximize=True)


@pytest.mark.parametrize(
    "prepare",
    [
        prepared(),
        prepared(of=lambda model: model.parameters()),
        prepared(of=lambda model: [p for p in model.parameters() if p.requires_grad]),
        added_later,
    ],
    ids=["head", "all", "filtered", "added later"],
)
def test_fine_tuning_takes_any_order_that_trains_the_new_head(prepare):
    assert is_right(debugging.fine_tuning(prepare))


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (
            prepared(make="first", of=lambda model: model.parameters()),
            "The optimiser does not hold the parameters of the new head.",
        ),
        (prepared(make="first"), "The optimiser does not hold the parameters of the new head."),
        (
            prepared(freeze="last", of=lambda model: model.parameters()),
            "The new head is frozen with the rest",
        ),
        (prepared(freeze="never"), "The body is no longer frozen."),
        (prepared(freeze="never", of=lambda model: model.parameters()), "The body is no longer frozen."),
        (prepared(of=lambda model: [model.head.weight]), "Only a part of the head is trained"),
        (half_frozen, "Only a part of the head is trained"),
        (prepared(classes=10), "The model's head has not 4 outputs"),
        (refreshed, "The weights of the body are not those that were learned before."),
        (uphill, "it should fall"),
        (lambda model, classes: model, "Return the optimiser; your function returns _BodyAndHead."),
    ],
)
def test_fine_tuning_has_a_hint_for_each_misunderstanding(prepare, words):
    assert_hint(debugging.fine_tuning(prepare), words)


def test_a_body_that_is_learned_anew_is_noticed():
    """Even one that differs from the first draw by nothing but a step."""

    def warmed(model, classes):
        with torch.no_grad():
            model.body[0].bias.add_(1e-3)
        return prepared()(model, classes)

    assert_hint(debugging.fine_tuning(warmed), "The weights of the body are not those")
    assert all(map(torch.equal, fine_tuned()[0].parameters(), fine_tuned()[0].parameters()))


# An evaluation


def mean_loss(model, batches):
    total = sum(F.cross_entropy(model(x), y).item() * len(y) for x, y in batches)
    return total / sum(len(y) for _, y in batches)


@torch.no_grad()
def with_modes(model, batches):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        return mean_loss(model, batches)
    finally:
        for module, training in modes:
            module.training = training


@torch.no_grad()
def on_a_copy(model, batches):
    return torch.tensor(mean_loss(copy.deepcopy(model).eval(), batches))


def evaluated(*, before=nn.Module.eval, after=nn.Module.train, grad=False, mean=mean_loss):
    """An evaluation with the slips that the checker knows."""

    def evaluate(model, batches):
        before(model)
        with torch.set_grad_enabled(grad):
            result = mean(model, batches)
        after(model)
        return result

    return evaluate


def nothing(model):
    return None


def only_batch_norm(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eval()


def back_as_a_whole(model, batches):
    training = model.training
    result = evaluated()(model, batches)
    model.train(training)
    return result


def backward_too(model, batches):
    for x, y in batches:
        F.cross_entropy(model(x), y).backward()
    return mean_loss(model, batches)


def graph(model, batches):
    return torch.cat([F.cross_entropy(model(x), y, reduction="none") for x, y in batches]).mean()


def nudge(model):
    with torch.no_grad():
        model[0].bias.add_(1)


@pytest.mark.parametrize("evaluate", [with_modes, on_a_copy])
def test_evaluation_takes_right_answers(evaluate):
    assert is_right(debugging.evaluation(evaluate))


@pytest.mark.parametrize(
    ("evaluate", "words"),
    [
        (evaluated(before=nothing, after=nothing), "The running statistics of batch norm have changed"),
        (evaluated(before=only_batch_norm), "dropout is still on"),
        (evaluated(after=nothing), "the model stays in evaluation mode"),
        (evaluated(), "A model that came in evaluation mode leaves in training mode."),
        (back_as_a_whole, "One layer was in evaluation mode on purpose"),
        (evaluated(grad=True, mean=graph), "no_grad has gone missing"),
        (evaluated(grad=True, mean=backward_too), "but the parameters have gradients now"),
        (evaluated(after=lambda model: model.train().requires_grad_(False)), "parameters have been frozen"),
        (evaluated(after=nudge), "The model's weights or buffers have changed."),
        (
            evaluated(mean=lambda model, batches: np.mean([mean_loss(model, [batch]) for batch in batches])),
            "That is the mean of the batches' means.",
        ),
        (evaluated(mean=lambda model, batches: 2 * mean_loss(model, batches)), "in evaluation mode is"),
        (lambda model, batches: None, "Your function returns None."),
    ],
)
def test_evaluation_has_a_hint_for_each_misunderstanding(evaluate, words):
    assert_hint(debugging.evaluation(evaluate), words)


# Who gets no gradient?


def find_silent(model, x, y, loss):
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss(model(x), y), [p for _, p in trained], allow_unused=True)
    return [
        name for (name, _), g in zip(trained, gradients, strict=True) if g is None or not g.count_nonzero()
    ]


def silent_where(silent, *, zero=True, frozen=False, name=lambda name: name):
    """Find silent parameters by backward and a condition on a gradient."""

    def find(model, x, y, loss):
        if zero:
            model.zero_grad()
        loss(model(x), y).backward()
        return [
            name(n) for n, p in model.named_parameters() if (p.requires_grad or frozen) and silent(p.grad)
        ]

    return find


def none_or_zero(gradient):
    return gradient is None or not gradient.any()


def test_the_patients_are_as_ill_as_they_say():
    for patient in patients():
        assert set(find_silent(patient.model, patient.x, patient.y, F.cross_entropy)) == set(patient.silent)


@pytest.mark.parametrize(
    "find",
    [
        find_silent,
        silent_where(none_or_zero),
        lambda *a: set(find_silent(*a)),
        lambda *a: tuple(find_silent(*a)),
        lambda *a: [(name, None) for name in find_silent(*a)],
    ],
    ids=["autograd", "backward", "set", "tuple", "pairs"],
)
def test_no_gradient_takes_right_answers(find):
    assert is_right(debugging.no_gradient(find))


@pytest.mark.parametrize(
    ("find", "words"),
    [
        (silent_where(lambda g: g is None), "Units that are off for every example are missing"),
        (silent_where(lambda g: g is not None and not g.any()), "whose output is detached is missing"),
        (silent_where(lambda g: not g.any()), "The gradient of a parameter that is not used at all is None."),
        (silent_where(none_or_zero, frozen=True), "A layer that is frozen on purpose"),
        (silent_where(none_or_zero, zero=False), "with gradients from before has fooled you."),
        (silent_where(lambda g: g is None or g.sum().abs() < 1e-9), "whose gradients sum to 0"),
        (silent_where(lambda g: g is None or g.abs().max() < 1e-6), "whose gradients are tiny"),
        (silent_where(lambda g: g is None or bool((g == 0).any())), "in which some units are off"),
        (silent_where(lambda g: not none_or_zero(g)), "The other way round"),
        (silent_where(none_or_zero, name=lambda name: name.split(".")[0]), "There is no parameter 'encoder'"),
        (lambda *a: [], "whose output is detached is missing"),
        (lambda *a: "encoder.weight", "Return a list of names; your function returns str."),
        (lambda *a: 3, "Return a list of names; your function returns int."),
        (lambda *a: [torch.ones(2)], "Return names; your list holds Tensor."),
        (lambda *a: None, "Your function returns None."),
    ],
)  # fmt: skip
def test_no_gradient_has_a_hint_for_each_misunderstanding(find, words):
    assert_hint(debugging.no_gradient(find), words)


@pytest.mark.parametrize(
    ("silent", "words"),
    [
        ({"_Forgetful"}, "A layer that forward never calls is missing"),
        ({"Sequential"}, "Units that are off"),
    ],
)
def test_a_check_that_overlooks_one_kind_of_model_hears_of_it(silent, words):
    def find(model, *rest):
        return [] if type(model).__name__ in silent else find_silent(model, *rest)

    assert_hint(debugging.no_gradient(find), words)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (0, "The layer behind a detach does get gradients."),
        (2, "You accuse a sound model."),
        (3, "In a model with an unused layer you accuse the others as well."),
        (4, "The bias behind units that are off does get a gradient."),
    ],
)
def test_a_check_that_accuses_too_many_hears_of_it(place, words):
    calls = iter(range(100))

    def find(model, *rest):
        found = find_silent(model, *rest)
        extra = [name for name, _ in model.named_parameters() if name not in found][-1:]
        return found + extra if next(calls) == place else found

    assert_hint(debugging.no_gradient(find), words)


def test_a_check_that_trains_hears_of_it():
    def find(model, x, y, loss):
        found = find_silent(model, x, y, loss)
        nudge_all(model)
        return found

    assert_hint(debugging.no_gradient(find), "Your function has changed the weights.")


@torch.no_grad()
def nudge_all(model):
    for p in model.parameters():
        p.add_(0.1)


# A range test without a trace


def curve(model, optimizer, loss, x, y, rates, *, zero=True, late=False, own_rate=False):
    losses = []
    for rate in rates:
        if not own_rate:
            for group in optimizer.param_groups:
                group["lr"] = rate
        value = loss(model(x), y)
        if zero:
            optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append((loss(model(x), y) if late else value).item())
    return losses


def on_copies(model, optimizer, loss, x, y, rates):
    model, optimizer = copy.deepcopy((model, optimizer))
    with torch.random.fork_rng():
        return curve(model, optimizer, loss, x, y, rates)


KEPT = ("weights", "optimizer", "dice", "gradients")


def restoring(*kept, copied=True, **slips):
    """A range test that puts back what it is told to."""

    def test(model, optimizer, loss, x, y, rates):
        take = copy.deepcopy if copied else dict
        weights, state = take(model.state_dict()), copy.deepcopy(optimizer.state_dict())
        dice = torch.random.get_rng_state()
        try:
            return curve(model, optimizer, loss, x, y, rates, **slips)
        finally:
            if "weights" in kept:
                model.load_state_dict(weights)
            if "parameters" in kept:
                model.load_state_dict({n: v for n, v in weights.items() if "running" not in n}, strict=False)
            if "optimizer" in kept:
                optimizer.load_state_dict(state)
            if "rate" in kept:
                optimizer.param_groups[0]["lr"] = state["param_groups"][0]["lr"]
            if "dice" in kept:
                torch.random.set_rng_state(dice)
            if "gradients" in kept:
                optimizer.zero_grad(set_to_none="zeros" not in kept)

    return test


def each_from_the_start(late):
    def test(model, optimizer, loss, x, y, rates):
        return [curve(*copy.deepcopy((model, optimizer)), loss, x, y, [rate], late=late)[0] for rate in rates]

    return test


def left_in_evaluation_mode(model, *rest):
    losses = restoring(*KEPT)(model, *rest)
    model.eval()
    return losses


@pytest.mark.parametrize(
    "test",
    [on_copies, restoring(*KEPT), restoring(*KEPT, "zeros"), lambda *a: np.array(on_copies(*a))],
    ids=["copies", "restored", "gradients of 0", "array"],
)
def test_range_test_takes_right_answers(test):
    assert is_right(debugging.range_test(test))


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (restoring(*KEPT, late=True), "You measure after the step."),
        (restoring(*KEPT, own_rate=True), "Every step is taken with the optimiser's own rate."),
        (restoring(*KEPT, zero=False), "The gradients of earlier steps are still there"),
        (each_from_the_start(late=False), "Every rate starts from the same weights."),
        (each_from_the_start(late=True), "Every rate starts from the same weights."),
        (lambda *a: on_copies(*a)[:-1], "you return losses of shape (11,)"),
        (lambda *a: 2 * np.array(on_copies(*a)), "Loss number 1 is"),
        (curve, "the weights are not as before"),
        (restoring(*KEPT, copied=False), "it holds the tensors themselves"),
        (restoring("parameters", "optimizer", "dice", "gradients"), "but not the buffers"),
        (restoring("weights", "dice", "gradients"), "The optimiser is left with the rate 1; it had 0.05."),
        (restoring("weights", "rate", "dice", "gradients"), "The optimiser's momentum is not as before"),
        (restoring("weights", "optimizer", "dice"), "The parameters have the gradients of the last step"),
        (restoring("weights", "optimizer", "gradients"), "Dropout has drawn random numbers"),
        (left_in_evaluation_mode, "The model came in training mode"),
        (lambda *a: None, "Your function returns None."),
    ],
)
def test_range_test_has_a_hint_for_each_misunderstanding(test, words):
    assert_hint(debugging.range_test(test), words)


# What checkers leave behind


def test_checkers_leave_the_random_state_alone():
    state = torch.random.get_rng_state()
    debugging.evaluation(evaluated(before=nothing))
    debugging.range_test(restoring("weights", "optimizer", "gradients"))
    debugging.no_gradient(find_silent)
    debugging.weighted_step(step_on(weighted))
    debugging.fine_tuning(prepared())
    assert torch.equal(state, torch.random.get_rng_state())


def test_every_patient_is_new():
    assert with_state()[0] is not with_state()[0]
    assert all(a.model is not b.model for a, b in zip(patients(), patients(), strict=True))
