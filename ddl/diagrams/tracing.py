"""Record what a function does with tensors while it runs, and what autograd makes of it."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn
from torch.overrides import handle_torch_function, has_torch_function

from ddl.checks import whole_number
from ddl.diagrams.graphs import ComputationGraph, Edge, Node
from ddl.diagrams.recording import Record, Recorder, Use, tensors_in

MOST_NODES = 60
"""More nodes than this are not readable in one picture."""

HIDDEN = (
    "an operation is hidden from the record. If it is the apply of an autograd.Function, wrap it in "
    "ddl.diagrams.one_node; if it ran before, run it inside the function"
)


def trace(
    function: Callable[..., torch.Tensor | Mapping[str, torch.Tensor]],
    *inputs: object,
    names: Mapping[str, torch.Tensor] | None = None,
    module: nn.Module | None = None,
    open_linear: bool = False,
    most_nodes: int = MOST_NODES,
) -> ComputationGraph:
    """Run a function once and record its operations, their values and the gradients of its output.

    Autograd keeps the operations but not their values, so the function runs anew, and every number in the
    graph comes from this run and from one backward pass through it. Gradients of the reader's tensors, the
    random state and the buffers of ``module`` are afterwards as they were.

    Parameters
    ----------
    function
        What to run; a module is one. It returns the output, a tensor of any shape, or a dictionary of named
        tensors, of which the last is the output.
    *inputs
        What to call it with. Tensors get the names of the function's parameters.
    names
        Names of further tensors that the function uses; they go before the names of its parameters.
    module
        A module whose parameters get their names; not needed if it is the function itself.
    open_linear
        Whether a linear layer with a bias is computed as a matrix product and a sum, not in one operation.
    most_nodes
        The largest graph that is not an error.

    Returns
    -------
    ComputationGraph
        The leaves and operations that lead to the output.

    Raises
    ------
    TypeError
        If ``function`` is none, or it returns no tensors, or a name stands for none.
    ValueError
        If nothing that leads to the output requires gradients, two nodes have one name, a named tensor does
        not lead to the output, there are too many nodes, or operations were hidden from the record.

    Examples
    --------
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> graph = trace(lambda x: x * x + x, x)
    >>> [(node.label, node.value.item(), node.gradient.item()) for node in graph.nodes]
    [('x', 3.0, 7.0), ('×', 9.0, 1.0), ('+', 12.0, 1.0)]
    >>> [edge.contribution.item() for edge in graph.children("x")]
    [3.0, 3.0, 1.0]
    """
    if not callable(function):
        raise TypeError(
            f"function is of type {type(function).__name__}; give what computes the tensor: a finished one "
            "does not keep the values that it was computed from"
        )
    whole_number("most_nodes", most_nodes, at_least=1)
    if module is None and isinstance(function, nn.Module):
        module = function
    called = _names_of_inputs(function, inputs)
    if module is not None:
        called |= dict(module.named_parameters()) | dict(module.named_buffers())
    recorder = Recorder(open_linear)
    for value in inputs:
        if isinstance(value, torch.Tensor):
            recorder.leaf(value, "parameter" if isinstance(value, nn.Parameter) else "input")
    with _as_before(module), torch.enable_grad():
        with recorder:
            result = function(*inputs)
        named = dict(result) if isinstance(result, Mapping) else {}
        output = list(named.values())[-1] if named else result
        asked = {**named, **(names or {})}
        for name, tensor in {**asked, "the output": output}.items():
            if not isinstance(tensor, torch.Tensor):
                raise TypeError(f"{name} is of type {type(tensor).__name__}; give a tensor")
        return _graph(recorder, output, called, asked, most_nodes)


def one_node(function: Callable[..., object], label: str | None = None) -> Callable[..., object]:
    """Let a function be one node of a traced graph, whatever it does inside.

    Parameters
    ----------
    function
        The function or module. Every tensor that the graph shall link to the node is an argument.
    label
        What to call the operation; the function's own name if not given.

    Returns
    -------
    callable
        The same function; outside :func:`trace` it does the same as before.

    Examples
    --------
    >>> penalty = one_node(lambda w: 0.01 * (w**2).sum(), "ℓ₂")
    >>> w = torch.ones(3, 2, requires_grad=True)
    >>> [node.label for node in trace(lambda w: penalty(w), w).nodes]
    ['w', 'ℓ₂']
    """

    @functools.wraps(function)
    def whole(*args: object, **kwargs: object) -> object:
        tensors = tuple(tensors_in((args, kwargs)))
        if has_torch_function(tensors):
            return handle_torch_function(whole, tensors, *args, **kwargs)
        return function(*args, **kwargs)

    whole.label = label or getattr(function, "__name__", type(function).__name__)
    return whole


def _graph(
    recorder: Recorder,
    output: torch.Tensor,
    called: Mapping[str, torch.Tensor],
    asked: Mapping[str, torch.Tensor],
    most_nodes: int,
) -> ComputationGraph:
    """Turn the records that lead to the output into a graph with gradients."""
    if id(output) not in recorder.latest:
        raise ValueError(f"no operation in the record gave the output; {HIDDEN}")
    last = recorder.latest[id(output)]
    kept = {place: recorder.records[place] for place in sorted(_ancestors(recorder.records, last))}
    if len(kept) > most_nodes:
        raise ValueError(
            f"the graph has {len(kept)} nodes, more than most_nodes={most_nodes}; trace a smaller model, or "
            "wrap parts of it in ddl.diagrams.one_node"
        )
    if not output.requires_grad:
        raise ValueError(
            "nothing that leads to the output requires gradients; make inputs or parameters with "
            "requires_grad=True, and do not detach what comes of them"
        )
    names = _names({i: kept.get(place) for i, place in recorder.latest.items()}, called, asked)
    parts = [part for record in kept.values() for part in (record, *record.uses)]
    found = _gradients(output, [part for part in parts if part.edge is not None])
    _share_among_results(kept, found)
    _add_what_came_in_place(kept, found)
    index = {place: i for i, place in enumerate(kept)}
    nodes = tuple(
        Node(i, names.get(id(r), ""), r.operation, r.kind, r.value.cpu(), found.get(id(r)))
        for i, r in enumerate(kept.values())
    )
    edges = tuple(
        Edge(index[use.source], index[place], slot, use.derivative, found.get(id(use)))
        for place, record in kept.items()
        for slot, use in enumerate(record.uses)
    )
    graph = ComputationGraph(nodes, edges, nodes[index[last]])
    _check_leaves(recorder.records, kept)
    _check_sums(graph)
    return graph


def _ancestors(records: list[Record], last: int) -> set[int]:
    found, ahead = set(), [last]
    while ahead:
        place = ahead.pop()
        if place not in found:
            found.add(place)
            ahead += [use.source for use in records[place].uses]
    return found


def _names(
    kept: Mapping[int, Record | None], called: Mapping[str, torch.Tensor], asked: Mapping[str, torch.Tensor]
) -> dict[int, str]:
    """Return names by identity of the record; those that are asked for must belong to the graph."""
    names = {}
    for name, tensor in [*called.items(), *asked.items()]:
        record = kept.get(id(tensor))
        if record is not None:
            names[id(record)] = name
        elif name in asked:
            raise ValueError(f"{name!r} does not lead to the output; take it out of the names")
    given = list(names.values())
    for name in given:
        if given.count(name) > 1:
            raise ValueError(f"{given.count(name)} nodes are called {name!r}; give each a name of its own")
    return names


def _gradients(output: torch.Tensor, parts: list[Record | Use]) -> dict[int, torch.Tensor]:
    """Return, by identity, what one backward pass brings to tensors and through their uses."""
    edges = [part.edge for part in parts]
    found = torch.autograd.grad(output, edges, torch.ones_like(output), retain_graph=True, allow_unused=True)
    return {id(part): g.detach().cpu().clone() for part, g in zip(parts, found, strict=True) if g is not None}


def _share_among_results(kept: Mapping[int, Record], found: dict[int, torch.Tensor]) -> None:
    """Replace what comes back from all results of an operation by what comes from each."""
    for record in kept.values():
        for use in record.uses:
            if record.one_of_many and id(use) in found:
                given = found[id(record)].to(record.tensor.device)
                (part,) = torch.autograd.grad(record.tensor, [use.edge], given, retain_graph=True)
                found[id(use)] = part.cpu()


def _add_what_came_in_place(kept: Mapping[int, Record], found: dict[int, torch.Tensor]) -> None:
    """Let an operation in place, which has no edge of its own, hand back what comes through no other."""
    uses = [use for record in kept.values() for use in record.uses]
    for use in uses:
        if use.in_place and id(kept[use.source]) in found:
            others = [other for other in uses if other.source == use.source and id(other) in found]
            found[id(use)] = found[id(kept[use.source])] - sum(found[id(other)] for other in others)


def _check_leaves(records: list[Record], kept: Mapping[int, Record]) -> None:
    """Refuse a leaf that was computed from another tensor of the record by what the record does not hold."""
    for leaf in kept.values():
        if leaf.uses or leaf.tensor.grad_fn is None:
            continue
        others = [r.edge for r in records if r.edge is not None and r.tensor is not leaf.tensor]
        ones = torch.ones_like(leaf.tensor)
        reached = torch.autograd.grad(leaf.tensor, others, ones, retain_graph=True, allow_unused=True)
        if any(gradient is not None for gradient in reached):
            raise ValueError(f"a tensor of shape {tuple(leaf.tensor.shape)} comes from nowhere; {HIDDEN}")


def _check_sums(graph: ComputationGraph) -> None:
    """Refuse a graph in which what comes back to a node does not add up to its gradient."""
    for node in graph.nodes:
        if node.gradient is None or node is graph.output:
            continue
        leaving = [edge.contribution for edge in graph.edges if edge.source == node.index]
        handed = [part for part in leaving if part is not None]
        size = node.gradient.norm() + sum(part.norm() for part in handed)
        if (node.gradient - sum(handed)).norm() > 1e-4 * size:
            raise ValueError(f"a part of the gradient of {node.label!r} comes from nowhere; {HIDDEN}")


def _names_of_inputs(function: Callable, inputs: tuple) -> dict[str, torch.Tensor]:
    try:
        signature = inspect.signature(function.forward if isinstance(function, nn.Module) else function)
    except ValueError:  # functions written in C have no signature
        return {}
    given = signature.bind(*inputs).arguments
    return {name: value for name, value in given.items() if isinstance(value, torch.Tensor)}


@contextlib.contextmanager
def _as_before(module: nn.Module | None) -> Iterator[None]:
    """Put the random state and the buffers of a module back."""
    buffers = [] if module is None else [(buffer, buffer.clone()) for buffer in module.buffers()]
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            for buffer, before in buffers:
                buffer.data.copy_(before)  # unseen by autograd, which may still need the reader's own graph
