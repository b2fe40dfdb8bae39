"""Training: the loop that the chapters write out once by hand, with what every later use of it needs.

Examples
--------
>>> import ddl
>>> from torch import nn
>>> train, test = ddl.datasets.wine().split(0.7, 0.3, rng=ddl.rng(1))
>>> train, test = train.standardized(), test.standardized(by=train)
>>> model = ddl.models.MLP((13, 10, 3), seed=ddl.seed(2))
>>> history = ddl.fit(
...     model,
...     train,
...     loss=nn.CrossEntropyLoss(),
...     epochs=30,
...     lr=0.05,
...     optimizer="adam",
...     validation=test,
...     metrics="accuracy",
... )
>>> bool(history.final("val_accuracy") > 0.9)
True
"""

from ddl.training.activations import activation_statistics
from ddl.training.callbacks import (
    SCHEDULES,
    Callback,
    Checkpoint,
    EarlyStopping,
    Run,
    Schedule,
    Snapshots,
    Statistics,
    TensorBoard,
)
from ddl.training.ensemble import Ensemble
from ddl.training.groups import fit_many
from ddl.training.history import History
from ddl.training.loop import fit
from ddl.training.measures import METRICS, accuracy, binary_cross_entropy
from ddl.training.optimizers import OPTIMIZERS
from ddl.training.per_member import PerMember

__all__ = [
    "METRICS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "Ensemble",
    "History",
    "PerMember",
    "Run",
    "Schedule",
    "Snapshots",
    "Statistics",
    "TensorBoard",
    "accuracy",
    "activation_statistics",
    "binary_cross_entropy",
    "fit",
    "fit_many",
]
