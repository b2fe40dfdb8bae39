"""Pictures of real objects: a module as the network that it is, a run of autograd with all its numbers."""

from ddl.diagrams.drawing import computation_graph
from ddl.diagrams.graphs import ComputationGraph, Edge, Node
from ddl.diagrams.mixtures import mixture
from ddl.diagrams.nerves import nerve_cells
from ddl.diagrams.networks import MOST_UNITS, RADIUS, Layer, layers_of, network
from ddl.diagrams.tracing import MOST_NODES, one_node, trace

__all__ = [
    "MOST_NODES",
    "MOST_UNITS",
    "RADIUS",
    "ComputationGraph",
    "Edge",
    "Layer",
    "Node",
    "computation_graph",
    "layers_of",
    "mixture",
    "nerve_cells",
    "network",
    "one_node",
    "trace",
]
