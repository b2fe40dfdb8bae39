"""Learning rates that change: as in a loop written by hand with PyTorch's schedulers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from runs import moons, network, same, train, values
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LinearLR, SequentialLR

from ddl.training import SCHEDULES, Callback, Ensemble, Schedule

EPOCHS = 8
STEPS = 40  # 70 examples in batches of 16 are 5 steps an epoch
RATE = 0.05


def by_hand(model, make, per, *, optimizer=torch.optim.Adam, lr=RATE, epochs=EPOCHS):
    """Train with one of PyTorch's schedulers; return the rates."""
    data, rng, rates = moons(), np.random.default_rng([0, 0]), []
    optimizer = optimizer(model.parameters(), lr=lr)
    scheduler = make(optimizer)
    for _ in range(epochs):
        for rows in torch.from_numpy(rng.permutation(len(data))).split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(data.x[rows]), data.y[rows]).backward()
            if per == "step" or len(rates) < scheduler.last_epoch + 1:
                rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if per == "step":
                scheduler.step()
        if per == "epoch":
            scheduler.step()
    return rates


def ours(schedule, model=None, **options):
    defaults = {"epochs": EPOCHS, "batch_size": 16, "optimizer": "adam", "lr": RATE}
    return train(model, callbacks=schedule, **{**defaults, **options})


def after_warmup(warmup, make):
    """What everybody writes for a warm-up."""

    def sequence(optimizer):
        first = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
        return SequentialLR(optimizer, [first, make(optimizer)], milestones=[warmup])

    return sequence


# Name: the schedule, and the same by hand.
SAME = {
    "constant": (Schedule("constant"), lambda o: lr_scheduler.LambdaLR(o, lambda _: 1.0)),
    "cosine": (Schedule("cosine"), lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS)),
    "cosine by step": (Schedule("cosine", per="step"), lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS)),
    "cosine to a floor": (
        Schedule("cosine", eta_min=0.01),
        lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS, eta_min=0.01),
    ),
    "cosine of a length": (Schedule("cosine", T_max=5), lambda o: lr_scheduler.CosineAnnealingLR(o, 5)),
    "cosine after a warm-up": (
        Schedule("cosine", warmup=3),
        after_warmup(3, lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS - 3)),
    ),
    "cosine after a warm-up by step": (
        Schedule("cosine", warmup=7, per="step"),
        after_warmup(7, lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS - 7)),
    ),
    "exponential": (Schedule("exponential", gamma=0.9), lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    "linear": (Schedule("linear"), lambda o: LinearLR(o, 1.0, 0.0, EPOCHS)),
    "linear by step": (Schedule("linear", per="step"), lambda o: LinearLR(o, 1.0, 0.0, STEPS)),
    "multistep": (
        Schedule("multistep", milestones=[2, 5]),
        lambda o: lr_scheduler.MultiStepLR(o, [2, 5]),
    ),
    "multistep after a warm-up": (
        Schedule("multistep", milestones=[2, 4], warmup=2),
        after_warmup(2, lambda o: lr_scheduler.MultiStepLR(o, [2, 4])),
    ),
    "polynomial": (Schedule("polynomial", power=2), lambda o: lr_scheduler.PolynomialLR(o, EPOCHS, 2)),
    "step": (Schedule("step", step_size=3, gamma=0.5), lambda o: lr_scheduler.StepLR(o, 3, 0.5)),
    "a function": (
        Schedule(lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + epoch))),
        lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    ),
    "a class": (
        Schedule(lr_scheduler.OneCycleLR, per="step", max_lr=0.2, total_steps=STEPS + 1),
        lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.2, total_steps=STEPS + 1),
    ),
    "a class after a warm-up": (
        Schedule(lr_scheduler.CosineAnnealingWarmRestarts, T_0=2, warmup=2),
        after_warmup(2, lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=2)),
    ),
}


@pytest.mark.parametrize(("schedule", "make"), SAME.values(), ids=SAME.keys())
def test_a_schedule_equals_a_loop_by_hand_bit_for_bit(schedule, make):
    model, theirs = network(), network()
    ours(schedule, model)
    rates = by_hand(theirs, make, schedule.per)
    assert same(values(model), values(theirs))
    assert schedule.rates.tolist() == rates
    assert len(rates) == (EPOCHS if schedule.per == "epoch" else STEPS)


def test_every_name_is_compared():
    assert {schedule.schedule for schedule, _ in SAME.values()} >= set(SCHEDULES)


def test_a_warm_up_goes_up_in_equal_steps_to_the_full_rate():
    schedule = Schedule("constant", warmup=4)
    ours(schedule, lr=1.0)
    assert schedule.rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1], abs=1e-12)


def test_a_schedule_goes_down_to_nothing_at_the_end_of_the_run():
    for name, before_the_end in (("cosine", (1 + math.cos(math.pi * 39 / 40)) / 2), ("linear", 1 / 40)):
        schedule = Schedule(name, per="step")
        ours(schedule, lr=1.0)
        assert schedule.rates[0] == 1
        assert schedule.rates[-1] == pytest.approx(before_the_end)


def test_other_callbacks_see_the_rate_that_was_used():
    seen = []

    class Look(Callback):
        def on_start(self, run):
            seen.append([])

        def on_step_end(self, run):
            seen[-1].append(run.optimizer.param_groups[0]["lr"])

        def on_epoch_end(self, run):
            self.last = run.optimizer.param_groups[0]["lr"]
            assert self.last == seen[-1][-1]

    by_step, by_epoch = Schedule("cosine", per="step"), Schedule("cosine")
    ours([by_step, Look()])
    assert seen[-1] == by_step.rates.tolist()
    ours([by_epoch, Look()])
    assert seen[-1] == np.repeat(by_epoch.rates, 5).tolist()


def test_a_schedule_forgets_an_earlier_run():
    schedule = Schedule("cosine", warmup=1)
    first, second = network(), network()
    ours(schedule, first)
    rates = schedule.rates
    ours(schedule, second)
    assert same(values(first), values(second))
    assert schedule.rates.tolist() == rates.tolist()
    schedule.rates[:] = 0
    assert schedule.rates.tolist() == rates.tolist()


def test_schedules_can_be_chained():
    def chain(optimizer):
        both = [lr_scheduler.StepLR(optimizer, 4), lr_scheduler.ExponentialLR(optimizer, 0.9)]
        return lr_scheduler.ChainedScheduler(both)

    schedule = Schedule(chain)
    ours(schedule, lr=1.0)
    assert schedule.rates == pytest.approx([0.9**epoch * (1 if epoch < 4 else 0.1) for epoch in range(8)])


def test_the_optimiser_is_left_with_the_last_rate():
    optimizers = []

    def make(parameters):
        optimizers.append(torch.optim.SGD(parameters, lr=1.0))
        return optimizers[-1]

    ours(Schedule("step", step_size=5, gamma=0.1), optimizer=make, lr=None)
    assert optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1)


def test_groups_of_parameters_keep_their_own_rates():
    model, schedule = network(), Schedule("exponential", gamma=0.5)
    seen = []

    class Look(Callback):
        def on_epoch_end(self, run):
            seen.append([group["lr"] for group in run.optimizer.param_groups])

    def make(_):
        groups = [{"params": model.hidden1.parameters()}, {"params": model.output.parameters(), "lr": 0.4}]
        return torch.optim.SGD(groups, lr=0.1)

    ours([schedule, Look()], model, optimizer=make, lr=None, epochs=3)
    assert np.array(seen) == pytest.approx(np.array([[0.1, 0.4], [0.05, 0.2], [0.025, 0.1]]))
    assert schedule.rates == pytest.approx([0.4, 0.2, 0.1])
    each = Schedule(lambda o: lr_scheduler.LambdaLR(o, [lambda epoch: 1 + epoch, lambda epoch: 1.0]))
    ours(each, model, optimizer=make, lr=None, epochs=5)
    assert each.rates == pytest.approx([0.4, 0.4, 0.4, 0.4, 0.5])


def test_the_rate_of_a_diverging_epoch_is_recorded():
    data = moons()
    schedule = Schedule("exponential", gamma=10.0)
    history = ours(
        schedule,
        data=(data.x, 100 * data.x),
        loss=nn.MSELoss(),
        optimizer="sgd",
        lr=1.0,
        batch_size=None,
        epochs=99,
    )
    assert history.diverged == history.epochs == len(schedule.rates)
    by_step = Schedule("exponential", gamma=10.0, per="step")
    history = ours(
        by_step, data=(data.x, 100 * data.x), loss=nn.MSELoss(), optimizer="sgd", lr=1.0, epochs=99
    )
    # A step that was not taken has no rate.
    assert 5 * (history.diverged - 1) <= len(by_step.rates) < 5 * history.diverged
    # Nor is one forgotten: here both steps are taken, and the result of the second is not finite.
    late = Schedule(lambda o: lr_scheduler.LambdaLR(o, lambda step: min(step, 1)), per="step")
    history = ours(late, loss=lambda o, y: 1e30 * o.square().mean(), optimizer="sgd", lr=1e30, batch_size=35)
    assert (history.diverged, late.rates.tolist()) == (1, [0, 1e30])


# Ensembles


RATES = [0.1, 0.02, 0.05]
MULTIPLYING = {
    "by epoch": lambda: Schedule("cosine", warmup=2),
    "by step": lambda: Schedule("linear", per="step", warmup=6),
}


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
@pytest.mark.parametrize("make", MULTIPLYING.values(), ids=MULTIPLYING.keys())
@pytest.mark.parametrize("lr", [0.1, RATES], ids=["one rate", "rates of members"])
@pytest.mark.parametrize("batched", [True, False])
def test_members_are_trained_as_they_would_be_alone(batched, lr, make, optimizer):
    ensemble = Ensemble([network(seed) for seed in range(3)], batched=batched)
    schedule = make()
    ours(schedule, ensemble, lr=lr, optimizer=optimizer)
    rates = []
    for member, rate in enumerate(np.broadcast_to(lr, 3)):
        alone, own = network(member), make()
        ours(own, alone, lr=float(rate), optimizer=optimizer)
        rates.append(own.rates)
        for learned, expected in zip(values(ensemble.member(member)), values(alone), strict=True):
            if batched:
                torch.testing.assert_close(learned, expected, rtol=1e-4, atol=1e-5)
            else:
                assert torch.equal(learned, expected)
    assert schedule.rates.tolist() == np.max(rates, axis=0).tolist()


def test_a_floor_for_members_with_rates_of_their_own_is_refused():
    def ensemble(batched):
        return Ensemble([network(seed) for seed in range(3)], batched=batched)

    with pytest.raises(ValueError, match=r"rates of the members by 0\.9\d+ to 0\.9\d+; leave out .* eta_min"):
        ours(Schedule("cosine", eta_min=0.01), ensemble(False), lr=RATES)
    ours(Schedule("cosine", eta_min=0.01), ensemble(False), lr=0.1)
    ours(Schedule("cosine", eta_min=0.01), ensemble(True), lr=RATES)


# Wrong calls


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: Schedule("cosinus"),
            ValueError,
            "schedule 'cosinus' is not known; there are constant, cosine",
        ),
        (lambda: Schedule(0.1), TypeError, r"schedule is 0\.1; give a name, as 'cosine', or a function"),
        (lambda: Schedule("cosine", per="batch"), ValueError, 'per is \'batch\'; give "epoch" or "step"'),
        (
            lambda: Schedule("cosine", warmup=-1),
            ValueError,
            "warmup, in epochs, is -1; it must be at least 0",
        ),
        (
            lambda: Schedule("cosine", warmup=0.1, per="step"),
            TypeError,
            r"warmup, in steps, is 0\.1; give a whole",
        ),
        (
            lambda: Schedule("step"),
            TypeError,
            r"'step' cannot take the options {}: .*step_size.*; see .*\.StepLR",
        ),
        (
            lambda: Schedule("cosine", gamma=0.1),
            TypeError,
            r"cannot take the options {'gamma': 0\.1}: .*CosineAnnealingLR",
        ),
        (lambda: Schedule("linear", end_factor=3), TypeError, r"{'end_factor': 3}: .*; see .*\.LinearLR"),
        (
            lambda: ours(Schedule("cosine", warmup=8)),
            ValueError,
            "warmup is 8 epochs, but the run has 8; make it shorter",
        ),
        (
            lambda: ours(Schedule("constant", warmup=9)),
            ValueError,
            "warmup is 9 epochs, but the run has 8; make it shorter",
        ),
        (
            lambda: ours(Schedule("cosine", warmup=50, per="step")),
            ValueError,
            "warmup is 50 steps, but the run has 40",
        ),
        (
            lambda: ours(Schedule(lambda optimizer: 0.1)),
            TypeError,
            r"schedule returned 0\.1; give a function that returns a torch\.optim\.lr_scheduler",
        ),
        (
            lambda: ours(Schedule(lr_scheduler.ReduceLROnPlateau)),
            TypeError,
            "ReduceLROnPlateau goes by a measured value; call it from a callback of your own",
        ),
        (
            lambda: ours(Schedule("exponential", gamma=-1)),
            ValueError,
            r"makes the learning rate -0\.05 after epoch 1 and step 5; change its options",
        ),
        (
            lambda: ours(Schedule("exponential", gamma=math.inf)),
            ValueError,
            "makes the learning rate inf after epoch 1 and step 5",
        ),
        (
            lambda: ours([Schedule("cosine"), Schedule("step", step_size=3)]),
            ValueError,
            r"callbacks holds 2 schedules; give one, from a function .*\.ChainedScheduler",
        ),
    ],
)
def test_wrong_calls_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
