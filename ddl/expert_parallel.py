"""A sparse mixture of experts spread over several processes that exchange examples.

Each process holds a share of the experts and of the batch, and a copy of the router. It decides where its
examples go, sends each to the process that holds the expert, and gets the answer back: two exchanges of all
with all on the way forward, and two on the way back. On a cluster each process has an accelerator of its own.
"""

from __future__ import annotations

import contextlib
import copy
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from ddl.checks import size, whole_number
from ddl.models import MixtureOfExperts
from ddl.models.experts import Experts
from ddl.models.routing import places_in_order
from ddl.models.sparse import fullest


@dataclass(frozen=True, eq=False, repr=False)
class Exchange:
    """What the processes have computed together."""

    output: torch.Tensor
    """Shape (…, d_out), for the whole batch."""
    sent: torch.Tensor
    """Shape (processes, processes), int64: how many examples the process of the row has sent to an expert in
    the process of the column; on the diagonal, those that have stayed."""
    gradients: dict[str, torch.Tensor] | None
    """By the names of the layer's parameters, and ``"x"``; None if none were asked for."""

    def __repr__(self) -> str:
        away = self.sent.sum() - self.sent.trace()
        return f"Exchange({len(self.sent)} processes, {away} of {self.sent.sum()} choices sent away)"


def run(
    layer: MixtureOfExperts,
    x: torch.Tensor,
    *,
    processes: int = 2,
    upstream: torch.Tensor | None = None,
    timeout: float = 120.0,
) -> Exchange:
    """Compute a sparse layer in several processes of this machine, each with a share of experts and examples.

    Parameters
    ----------
    layer
        The layer, with at least as many experts as there are processes. It is used in evaluation mode, on the
        CPU, and left as it is. Its capacity must be unlimited: places would be counted in each process alone.
    x
        Inputs, shape (…, d), at least one for each process.
    processes
        How many. Starting them takes a second or two.
    upstream
        Gradient with respect to the output, of its shape; then the gradients of ``(output * upstream).sum()``
        are computed too, also by exchange.
    timeout
        After how many seconds to give up.

    Returns
    -------
    Exchange
        The output, equal to ``layer(x)`` up to rounding, who sent how much to whom, and the gradients.

    Raises
    ------
    TypeError, ValueError
        If the arguments do not fit together.
    RuntimeError
        If a process fails; with the end of what it wrote.
    TimeoutError
        If they are not done in time.

    Examples
    --------
    >>> layer = MixtureOfExperts((4, 8, 4), experts=4, top_k=1, seed=0)
    >>> exchange = run(layer, torch.ones(6, 4))
    >>> torch.allclose(exchange.output, layer(torch.ones(6, 4)), atol=1e-6)
    True
    >>> exchange.sent.sum(1)  # three examples of each process, one choice each
    tensor([3, 3])
    """
    _check(layer, x, processes, upstream)
    size("timeout", timeout)
    layer, rows = copy.deepcopy(layer).cpu().eval(), x.detach().cpu().flatten(0, -2)
    gradient = None if upstream is None else upstream.detach().cpu().flatten(0, -2)
    bounds = [layer.experts.count * rank // processes for rank in range(processes + 1)]
    with tempfile.TemporaryDirectory() as folder:
        for rank in range(processes):
            share = copy.copy(
                layer
            )  # with modules of its own in the place of the experts, not in the original
            share._modules = layer._modules | {"experts": layer.experts.part(bounds[rank], bounds[rank + 1])}
            given = [
                None if part is None else part.tensor_split(processes)[rank] for part in (rows, gradient)
            ]
            torch.save((share, bounds, *given), Path(folder, f"task{rank}.pt"))
        _run_all(folder, processes, timeout)
        parts = [torch.load(Path(folder, f"result{rank}.pt")) for rank in range(processes)]
    output = torch.cat([part["output"] for part in parts]).reshape(*x.shape[:-1], layer.experts.sizes[-1])
    sent = torch.stack([part["sent"] for part in parts])
    return Exchange(output, sent, None if upstream is None else _gathered([p["gradients"] for p in parts], x))


def mix(layer: MixtureOfExperts, bounds: Sequence[int], x: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """Compute a layer of whose experts this process holds a share; all processes must call it.

    Parameters
    ----------
    layer
        The layer, with this process's experts only.
    bounds
        Number of the first expert of each process, and last the number of all experts.
    x
        This process's inputs, shape (n, d).

    Returns
    -------
    tuple of torch.Tensor and list of int
        The outputs (n, d_out), and how many examples went to each process.
    """
    routing = layer.route(x)
    k, per_process = layer.top_k, [stop - start for start, stop in pairwise(bounds)]
    chosen = routing.chosen.flatten()  # (n·k,)
    order = chosen.argsort(stable=True)  # sorted by expert, and so by process
    counts = chosen.bincount(minlength=bounds[-1])
    sent = [part.sum().item() for part in counts.split(per_process)]
    mine = len(layer.experts.weights[0])
    coming = all_to_all(counts, per_process, [mine] * len(per_process)).reshape(-1, mine)  # (processes, mine)
    received = coming.sum(1).tolist()

    arrived = AllToAll.apply(x[order // k], sent, received)  # examples go out …
    answers = AllToAll.apply(_answers(layer.experts, arrived, coming), received, sent)  # … answers come back

    unsorted = answers[order.argsort()].reshape(len(x), k, -1)
    output = (routing.weights[..., None].to(unsorted.dtype) * unsorted).sum(1)
    return output if layer.shared is None else output + layer.shared(x), sent


def _answers(experts: Experts, x: torch.Tensor, coming: torch.Tensor) -> torch.Tensor:
    """Let this process's experts answer what has arrived: from each process, so many for each expert."""
    which = torch.arange(experts.count).repeat(len(coming)).repeat_interleave(coming.flatten())[:, None]
    places = places_in_order(which, experts.count)
    most = fullest(places)
    return experts.at((which * most + places).flatten(), x, most)


def all_to_all(rows: torch.Tensor, sent: Sequence[int], received: Sequence[int]) -> torch.Tensor:
    """Send so many rows to process 0, the next to process 1, and so on; return what all have sent here."""
    arrived = rows.new_empty(sum(received), *rows.shape[1:])
    dist.all_to_all_single(arrived, rows.contiguous(), list(received), list(sent))
    return arrived


class AllToAll(torch.autograd.Function):
    """The exchange :func:`all_to_all`; gradients go back the way that the rows have come."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, rows: torch.Tensor, sent: list[int], received: list[int]
    ) -> torch.Tensor:
        """Send the rows."""
        ctx.sent, ctx.received = sent, received
        return all_to_all(rows, sent, received)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, None, None]:
        """Send the gradients back."""
        return all_to_all(gradient, ctx.received, ctx.sent), None, None


def work(rank: int, folder: str, processes: int, timeout: float) -> None:
    """Do the part of one process.

    Parameters
    ----------
    rank
        Its number.
    folder
        Where its task lies, and where its result is to be written.
    processes
        How many there are.
    timeout
        How many seconds to wait for the others.
    """
    torch.set_num_threads(1)
    layer, bounds, x, upstream = torch.load(Path(folder, f"task{rank}.pt"), weights_only=False)
    dist.init_process_group(
        "gloo",
        store=dist.FileStore(str(Path(folder, "store")), processes),
        rank=rank,
        world_size=processes,
        timeout=timedelta(seconds=timeout),
    )
    try:
        x.requires_grad_(upstream is not None)
        output, sent = mix(layer, bounds, x)
        result = {"output": output.detach(), "sent": torch.tensor(sent)}
        if upstream is not None:
            (output * upstream).sum().backward()
            result["gradients"] = {name: p.grad for name, p in layer.named_parameters()} | {"x": x.grad}
        torch.save(result, Path(folder, f"result{rank}.pt"))
        dist.barrier()  # nobody leaves while another still needs an answer
    finally:
        dist.destroy_process_group()


def start(folder: str, processes: int, timeout: float) -> None:
    """Start the processes from this one, which :func:`run` has started for it, and wait for them.

    Parameters
    ----------
    folder
        Where their tasks lie.
    processes
        How many there are.
    timeout
        How many seconds they wait for one another.

    Raises
    ------
    torch.multiprocessing.ProcessException
        If a process fails; the others are ended then.
    """
    # Imports take most of the time, and this process has done them: where copying it is safe, it is copied.
    method = "fork" if sys.platform == "linux" else "spawn"
    mp.start_processes(work, (folder, processes, timeout), nprocs=processes, start_method=method)


def _run_all(folder: str, processes: int, timeout: float) -> None:
    """Start the processes and wait for them; end all if one fails or time is up."""
    # They import this very package, wherever it is and whatever folder they start in.
    places = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(places)}
    if sys.platform == "linux":  # they are all on this machine: no name of it has to be looked up
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
    call = f"from ddl.expert_parallel import start; start({folder!r}, {processes}, {timeout})"
    with subprocess.Popen(
        [sys.executable, "-c", call],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,  # so that all can be ended together
    ) as starter:
        try:
            _, said = starter.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(
                f"{processes} processes were not done after {timeout:g} seconds; give a longer timeout"
            ) from None
        finally:
            _end(starter)
    if starter.returncode:
        raise RuntimeError(f"one of {processes} processes has failed\n{said[-4000:]}")


def _end(starter: subprocess.Popen) -> None:
    """End a process that still runs, and those that it has started."""
    if starter.poll() is None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself at this very moment
                os.killpg(starter.pid, signal.SIGKILL)
        else:
            starter.kill()


def _gathered(parts: Sequence[dict[str, torch.Tensor | None]], x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the gradients of the whole: experts side by side, of common weights the sum."""
    gathered = {}
    for name in parts[0]:
        values = [part[name] for part in parts]
        if name == "x":
            gathered[name] = torch.cat(values).reshape(x.shape)
        elif name.startswith("experts."):
            gathered[name] = torch.cat(values)
        elif all(value is not None for value in values):
            gathered[name] = torch.stack(values).sum(0)
    return gathered


def _check(layer: MixtureOfExperts, x: torch.Tensor, processes: int, upstream: torch.Tensor | None) -> None:
    if not isinstance(layer, MixtureOfExperts):
        raise TypeError(f"layer is {type(layer).__name__}; give a MixtureOfExperts")
    processes = whole_number("processes", processes, at_least=1)
    if x.ndim < 1 or x.shape[-1] != layer.experts.sizes[0]:
        raise ValueError(f"x has shape {tuple(x.shape)}; give (…, {layer.experts.sizes[0]})")
    examples = x.shape[:-1].numel()
    if processes > min(layer.experts.count, examples):
        raise ValueError(
            f"{processes} processes for {layer.experts.count} experts and {examples} examples; each process "
            "needs at least one of both"
        )
    if layer.capacity_factor is not None:
        raise ValueError(
            f"capacity_factor is {layer.capacity_factor}; set layer.capacity_factor = None: each process "
            "would count the places for its own examples, and drop others than a single process does"
        )
    wanted = (*x.shape[:-1], layer.experts.sizes[-1])
    if upstream is not None and upstream.shape != wanted:
        raise ValueError(f"upstream has shape {tuple(upstream.shape)}; the output has {wanted}")
