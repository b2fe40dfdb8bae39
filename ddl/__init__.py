"""The package behind *Dissecting Deep Learning*: what the chapters call, so that cells hold only ideas."""

from ddl import (
    calibration,
    cited,
    datasets,
    diagrams,
    exercises,
    expert_parallel,
    model_card,
    models,
    monitoring,
    plots,
    scenarios,
    service,
    training,
)
from ddl.diagnosis import Finding, Report, diagnose
from ddl.environment import device, rng, seed, setup
from ddl.evidence import ClaimError, claim, claims
from ddl.explorables import describe, explore, steps
from ddl.training import Ensemble, History, PerMember, fit, fit_many

__version__ = "0.1.0"

__all__ = [
    "ClaimError",
    "Ensemble",
    "Finding",
    "History",
    "PerMember",
    "Report",
    "calibration",
    "cited",
    "claim",
    "claims",
    "datasets",
    "describe",
    "device",
    "diagnose",
    "diagrams",
    "exercises",
    "expert_parallel",
    "explore",
    "fit",
    "fit_many",
    "model_card",
    "models",
    "monitoring",
    "plots",
    "rng",
    "scenarios",
    "seed",
    "service",
    "setup",
    "steps",
    "training",
]
