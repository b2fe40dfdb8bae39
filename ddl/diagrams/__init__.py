"""Pictures of real objects: a module as the network that it is, a run of autograd with all its numbers."""

from ddl.diagrams.nerves import nerve_cells
from ddl.diagrams.networks import MOST_UNITS, RADIUS, Layer, layers_of, network

__all__ = ["MOST_UNITS", "RADIUS", "Layer", "layers_of", "nerve_cells", "network"]
