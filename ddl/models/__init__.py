"""The book's own modules: perceptrons, features for linear layers, densities, mixtures of experts."""

from ddl.models.densities import MeanVariance, beta_nll, gaussian_nll
from ddl.models.experts import Experts
from ddl.models.feedforward import MLP, RBF, Heaviside, Polynomial
from ddl.models.inspection import Cost, MutualInformation, cost, mutual_information, routings
from ddl.models.mixture_densities import GaussianMixture, MixtureDensity, mixture_density, mixture_nll
from ddl.models.mixtures import LeafDensity, SoftMixture, hierarchical_mixture, mixture_of_mlps
from ddl.models.routing import Routing
from ddl.models.sparse import MixtureOfExperts

__all__ = [
    "MLP",
    "RBF",
    "Cost",
    "Experts",
    "GaussianMixture",
    "Heaviside",
    "LeafDensity",
    "MeanVariance",
    "MixtureDensity",
    "MixtureOfExperts",
    "MutualInformation",
    "Polynomial",
    "Routing",
    "SoftMixture",
    "beta_nll",
    "cost",
    "gaussian_nll",
    "hierarchical_mixture",
    "mixture_density",
    "mixture_nll",
    "mixture_of_mlps",
    "mutual_information",
    "routings",
]
