"""What bounds the training of many small networks: starting operations, or the arithmetic in them."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from benchmarks.cases import Task
from benchmarks.loops import Fit
from benchmarks.timing import on_threads, rotated

MEMBERS = (1, 4, 16, 64, 256, 1024)
"""Numbers of networks that a step is timed for."""

PRODUCTS, FORWARD, BACKWARD, LOSS = "matrix products", "tanh", "tanh, backward", "cross entropy"
OPTIMIZER, OTHERS, BETWEEN = "optimiser", "other operators", "between operators"

GROUPS = {
    "aten::mm": PRODUCTS,
    "aten::addmm": PRODUCTS,
    "aten::bmm": PRODUCTS,
    "aten::baddbmm": PRODUCTS,
    "aten::tanh": FORWARD,
    "aten::tanh_backward": BACKWARD,
    "aten::_log_softmax": LOSS,
    "aten::_log_softmax_backward_data": LOSS,
    "aten::nll_loss_forward": LOSS,
    "aten::nll_loss_backward": LOSS,
}
"""What PyTorch's operators are counted under, outside the optimiser."""


def bounds(
    tasks: Sequence[Task], *, repeats: int, quick: bool, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Return what bounds a step of each of some ensembles, on one thread.

    Parameters
    ----------
    tasks
        Many networks each; those with the same batch size share the times over the number of networks.
    repeats
        How often each time is taken; the median counts.
    quick
        Whether to take a fraction of the time, to see that everything works.
    tell
        Is given a line on how far it has got.

    Returns
    -------
    dict
        Ready for JSON: ``rates`` of the machine, ``scaling`` of the time of a step, ``cases``.
    """
    seconds = 0.005 if quick else 0.4
    sizes = MEMBERS[:3] if quick else MEMBERS
    with on_threads(1):
        tell("profile: rates of this machine")
        rates = machine_rates(seconds)
        scaling = {}
        for task in {task.batch_size: task for task in tasks}.values():
            tell(f"profile: steps of {task.batch_size} rows with {', '.join(map(str, sizes))} networks")
            scaling[task.batch_size] = scale(task, sizes, repeats=repeats, seconds=seconds)
        cases = []
        for task in tasks:
            tell(f"profile: operators of {task.name}")
            cases.append(case(task, scaling[task.batch_size], rates, repeats=repeats, seconds=seconds))
    return {"rates": rates, "scaling": list(scaling.values()), "cases": cases}


def machine_rates(seconds: float) -> dict[str, float]:
    """Return how fast this machine multiplies matrices and computes elementwise functions, at its best.

    Parameters
    ----------
    seconds
        For how long each is tried.
    """
    n = 1024
    a, b, product = (torch.rand(n, n) for _ in range(3))
    x, value = torch.randn(2**17), torch.empty(2**17)  # what fits into the cache of a core
    elementwise = {
        "tanh": lambda: torch.tanh(x, out=value),
        "tanh_backward": lambda: torch.ops.aten.tanh_backward.grad_input(x, x, grad_input=value),
        "sigmoid": lambda: torch.sigmoid(x, out=value),
    }
    rates = {"matmul_flops": 2 * n**3 / shortest(lambda: torch.mm(a, b, out=product), seconds)}
    return rates | {
        f"{name}_elements": len(x) / shortest(function, seconds) for name, function in elementwise.items()
    }


def shortest(function: Callable[[], object], seconds: float) -> float:
    """Return the shortest time in seconds that a function has taken, trying for so long."""
    end = time.perf_counter() + seconds
    times = []
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def train(task: Task, epochs: int, watch: AbstractContextManager | None = None) -> float:
    """Train an ensemble for some epochs, watched or not; return the seconds, without those for making it."""
    training = Fit(replace(task, epochs=epochs), task.networks(0, task.members), 0)
    training.assemble()
    with watch or nullcontext():
        start = time.perf_counter()
        training.train()
        return time.perf_counter() - start


def enough_epochs(task: Task, seconds: float) -> int:
    """Return for how many epochs a task must be trained to take so many seconds; it is warm afterwards."""
    epochs = 4
    while train(task, epochs) < seconds:
        epochs *= 2
    return epochs


def step_microseconds(task: Task, epochs: int) -> float:
    """Return the time of a step: a difference, so that what is done once in a training does not count."""
    return 1e6 * (train(task, 1 + epochs) - train(task, 1)) / epochs / task.steps_per_epoch


def scale(task: Task, sizes: Sequence[int], *, repeats: int, seconds: float) -> dict[str, Any]:
    """Return the time of a step for several numbers of networks, and the straight line through them.

    The line is step = overhead + networks × arithmetic, and fits best in relative terms.

    Parameters
    ----------
    task
        Gives network, data and batch size.
    sizes
        Numbers of networks.
    repeats
        How often each is timed.
    seconds
        How long each timing takes, about.
    """
    tasks = [replace(task, members=members) for members in sizes]
    epochs = {task.members: enough_epochs(task, seconds) for task in tasks}
    times = defaultdict(list)
    for repeat in range(repeats):
        for one in rotated(tasks, repeat):
            times[one.members].append(step_microseconds(one, epochs[one.members]))
    steps = np.array([statistics.median(times[members]) for members in sizes])
    overhead, arithmetic = straight_line(np.array(sizes), steps)
    fitted = overhead + arithmetic * np.array(sizes)
    return {
        "batch_size": task.batch_size,
        "members": list(sizes),
        "microseconds_per_step": steps.tolist(),
        "overhead_microseconds": float(overhead),
        "arithmetic_microseconds_per_member": float(arithmetic),
        "largest_deviation": float(np.abs(fitted / steps - 1).max()),
    }


def straight_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return intercept and slope of the line with the smallest squared relative deviations.

    Examples
    --------
    >>> straight_line(np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 9.0])).round(6).tolist()
    [1.0, 2.0]
    """
    return np.linalg.lstsq(np.column_stack([1 / y, x / y]), np.ones(len(y)))[0]


def case(
    task: Task, scaling: dict[str, Any], rates: dict[str, float], *, repeats: int, seconds: float
) -> dict[str, Any]:
    """Return where the time of a step of one ensemble goes, and how far it is from the machine's own rates.

    Parameters
    ----------
    task
        The ensemble.
    scaling
        What :func:`scale` has found for this batch size.
    rates
        What :func:`machine_rates` has found.
    repeats, seconds
        How often the step is timed, and how long each timing takes, about.
    """
    epochs = enough_epochs(task, seconds)
    plain = statistics.median(step_microseconds(task, epochs) for _ in range(repeats))
    profiled, operators = breakdown(task, epochs)
    overhead = scaling["overhead_microseconds"]
    overhead_share = overhead / (overhead + task.members * scaling["arithmetic_microseconds_per_member"])
    flops = task.members * step_flops(task.network(0), len(task.train) / task.steps_per_epoch)
    elements = task.members * tanh_elements(task.network(0), len(task.train) / task.steps_per_epoch)
    least = 1e6 * (
        flops / rates["matmul_flops"]
        + elements / rates["tanh_elements"]
        + elements / rates["tanh_backward_elements"]
    )
    return {
        "name": task.name,
        "members": task.members,
        "batch_size": task.batch_size,
        "microseconds_per_step": plain,
        "overhead_share": overhead_share,
        "bound_by": bound_by(overhead_share),
        "flops_per_step": flops,
        "tanh_elements_per_step": elements,
        "least_microseconds": least,
        "share_of_matmul_rate": {
            "step": flops / (1e-6 * plain) / rates["matmul_flops"],
            PRODUCTS: flops / (1e-6 * operators[PRODUCTS]) / rates["matmul_flops"],
        },
        "share_of_tanh_rate": elements / (1e-6 * operators[FORWARD]) / rates["tanh_elements"],
        "microseconds_per_step_profiled": profiled,
        "operators": operators,
    }


def bound_by(overhead_share: float) -> str:
    """Return in words what takes most of the time; both where neither takes two thirds.

    Examples
    --------
    >>> bound_by(0.8), bound_by(0.5), bound_by(0.2)
    ('launch overhead', 'both', 'arithmetic')
    """
    if overhead_share > 2 / 3:
        return "launch overhead"
    return "arithmetic" if overhead_share < 1 / 3 else "both"


def step_flops(model: nn.Module, rows: float) -> float:
    """Return additions and multiplications of a step's matrix products, for one network.

    Of each linear layer: the output, the gradient of the weights, and, but for the first layer, that of the
    inputs; each takes two operations per weight and row.
    """
    weights = [layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear)]
    return 2 * rows * (3 * sum(weights) - weights[0])


def tanh_elements(model: nn.Sequential, rows: float) -> float:
    """Return of how many numbers a step of one network takes the hyperbolic tangent."""
    widths = [
        layer.out_features
        for layer, after in zip(model, list(model)[1:], strict=False)
        if isinstance(after, nn.Tanh)
    ]
    return rows * sum(widths)


def breakdown(task: Task, epochs: int) -> tuple[float, dict[str, float]]:
    """Return the microseconds of a step with the profiler at work, and how they divide.

    The profiler itself takes a microsecond or two per operator, which counts for small ones.
    """
    profiler = profile(activities=[ProfilerActivity.CPU], acc_events=True)
    elapsed = 1e6 * train(task, epochs, profiler)
    steps = epochs * task.steps_per_epoch
    divided = dict.fromkeys([*dict.fromkeys(GROUPS.values()), OPTIMIZER, OTHERS], 0.0)
    for event in profiler.events():
        divided[group(event)] += event.self_cpu_time_total / steps
    divided[BETWEEN] = elapsed / steps - sum(divided.values())
    return elapsed / steps, divided


def group(event: FunctionEvent) -> str:
    """Return what an operator is counted under."""
    caller = event
    while caller is not None:
        if caller.name.startswith("Optimizer.step"):
            return OPTIMIZER
        caller = caller.cpu_parent
    return GROUPS.get(event.name, OTHERS)
