"""The book's own modules: perceptrons, features for linear layers, mixtures of experts."""

from ddl.models.experts import Experts
from ddl.models.feedforward import MLP, RBF, Heaviside, Polynomial
from ddl.models.inspection import Cost, cost, routings
from ddl.models.routing import Routing
from ddl.models.sparse import MixtureOfExperts

__all__ = [
    "MLP",
    "RBF",
    "Cost",
    "Experts",
    "Heaviside",
    "MixtureOfExperts",
    "Polynomial",
    "Routing",
    "cost",
    "routings",
]
