"""What a run of automatic differentiation did: its operations, values and gradients as a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch


@dataclass(frozen=True, eq=False)
class Node:
    """A tensor of the run: a leaf, or what an operation gave."""

    index: int
    """Place in the order of the forward pass."""
    name: str
    """What the reader calls it; empty if it has no name."""
    operation: str
    """The operation that gave it, as it is drawn; empty for inputs and parameters."""
    kind: Literal["input", "parameter", "constant", "operation"]
    value: torch.Tensor
    """A copy of its value, without gradient."""
    gradient: torch.Tensor | None
    """Derivative of the output (of the sum of its entries) with respect to this tensor; None where
    automatic differentiation computes none."""

    @property
    def label(self) -> str:
        """Its name, else its operation, else its kind."""
        return self.name or self.operation or self.kind


@dataclass(frozen=True, eq=False)
class Edge:
    """One use of a tensor by an operation; an operation that uses a tensor twice has two edges from it."""

    source: int
    """Index of the tensor that is used."""
    target: int
    """Index of the operation that uses it."""
    slot: int
    """Which of the operation's tensor arguments it is, from 0."""
    derivative: float | None
    """The local derivative ∂target/∂source by this argument alone; None unless both are single numbers."""
    contribution: torch.Tensor | None
    """What the target hands back to the source in the backward pass: its gradient times the local
    derivative. None where no gradient flows."""


@dataclass(frozen=True, eq=False)
class ComputationGraph:
    """The operations of one run, from its leaves to its output; made by :func:`ddl.diagrams.trace`.

    The gradient of a node is the sum of the contributions of the edges that leave it; that of the output
    is one.
    """

    nodes: tuple[Node, ...]
    """In the order of the forward pass: inputs first, other leaves at their first use."""
    edges: tuple[Edge, ...]
    """In the order of their targets and their arguments."""
    output: Node

    def __repr__(self) -> str:
        leaves = len(self.nodes) - len(self.operations)
        return f"ComputationGraph of {self.output.label}: {leaves} leaves, {len(self.operations)} operations"

    @property
    def operations(self) -> tuple[Node, ...]:
        """The nodes that an operation gave, in the order of the forward pass."""
        return tuple(node for node in self.nodes if node.kind == "operation")

    @property
    def steps(self) -> int:
        """How many steps the forward and the backward pass take together; see :meth:`after`."""
        return 2 * len(self.operations) + 1

    def node(self, name: str) -> Node:
        """Return the node with a name.

        Parameters
        ----------
        name
            What the node is called.

        Returns
        -------
        Node
            The node.

        Raises
        ------
        ValueError
            If no node is called so.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes if node.name) or "none with a name"
        raise ValueError(f"no node is called {name!r}; there are {known}")

    def parents(self, name: str) -> tuple[Edge, ...]:
        """Return the edges that enter the node with this name, in the order of the arguments."""
        return tuple(edge for edge in self.edges if edge.target == self.node(name).index)

    def children(self, name: str) -> tuple[Edge, ...]:
        """Return the edges that leave the node with this name, in the order of their targets."""
        return tuple(edge for edge in self.edges if edge.source == self.node(name).index)

    def around(self, name: str) -> ComputationGraph:
        """Return the part of the graph that the gradient of one node depends on, and its own arguments.

        Parameters
        ----------
        name
            What the node is called.

        Returns
        -------
        ComputationGraph
            The node, its parents, its children, and the edges that enter or leave it.

        Raises
        ------
        ValueError
            If no node is called so.
        """
        edges = [*self.parents(name), *self.children(name)]
        kept = {end for edge in edges for end in (edge.source, edge.target)}
        return self._part(kept | {self.node(name).index}, edges)

    def without(self, kind: str) -> ComputationGraph:
        """Return the graph without the leaves of one kind, such as ``"parameter"``.

        Parameters
        ----------
        kind
            ``"input"``, ``"parameter"`` or ``"constant"``.

        Returns
        -------
        ComputationGraph
            All other nodes, and the edges between them.
        """
        kept = {node.index for node in self.nodes if node.kind != kind or node is self.output}
        return self._part(kept, [e for e in self.edges if e.source in kept and e.target in kept])

    def after(self, step: int) -> Progress:
        """Return what has been computed after so many steps.

        Before the first step only leaves have values. Each of the n steps of the forward pass computes one
        operation. Step n + 1 sets the gradient of the output to one; from then on, each step lets one
        operation, in reverse order, hand contributions to the tensors that it used.

        Parameters
        ----------
        step
            From 0 to :attr:`steps`.

        Returns
        -------
        Progress
            Values and gradients by index of the node, and what took part in the last step.

        Raises
        ------
        ValueError
            If ``step`` is outside this range.
        """
        if not 0 <= step <= self.steps:
            raise ValueError(f"step is {step}; this graph has steps 0 to {self.steps}")
        count = len(self.operations)
        done = {node.index for node in self.operations[: min(step, count)]}
        values = {n.index: n.value for n in self.nodes if n.kind != "operation" or n.index in done}
        if step <= count:
            active = self.operations[step - 1].index if step else None
            return Progress(values, {}, frozenset(), frozenset(), active, backward=False)
        order = self.operations[::-1][: step - count - 1]
        handed = frozenset(node.index for node in order)
        gradients = {}
        waiting = set()
        for node in self.nodes:
            if node.gradient is None:
                continue
            leaving = [e for e in self.edges if e.source == node.index and e.contribution is not None]
            come = [e.contribution for e in leaving if e.target in handed]
            if node is self.output or len(come) == len(leaving):
                gradients[node.index] = node.gradient
            elif come:
                gradients[node.index] = torch.stack(come).sum(0)
                waiting.add(node.index)
        active = order[-1].index if order else self.output.index
        return Progress(values, gradients, handed, frozenset(waiting), active, backward=True)

    def _part(self, kept: set[int], edges: list[Edge]) -> ComputationGraph:
        return ComputationGraph(
            tuple(node for node in self.nodes if node.index in kept), tuple(edges), self.output
        )


@dataclass(frozen=True, eq=False)
class Progress:
    """How far a run has come: what has a value, and what has (a part of) its gradient."""

    values: dict[int, torch.Tensor]
    gradients: dict[int, torch.Tensor]
    handed: frozenset[int]
    """Operations that have handed their contributions on."""
    waiting: frozenset[int]
    """Nodes whose gradient is still a part of the sum."""
    active: int | None
    """The operation of the last step; None before the first."""
    backward: bool
    """Whether the last step was one of the backward pass."""
