"""What may happen between the steps and the epochs of a training run."""

from ddl.training.callbacks.base import Callback, Run
from ddl.training.callbacks.checkpoint import Checkpoint
from ddl.training.callbacks.schedule import SCHEDULES, Schedule
from ddl.training.callbacks.snapshots import Snapshots
from ddl.training.callbacks.statistics import Statistics
from ddl.training.callbacks.stopping import EarlyStopping
from ddl.training.callbacks.tensorboard import TensorBoard

__all__ = [
    "SCHEDULES",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "Run",
    "Schedule",
    "Snapshots",
    "Statistics",
    "TensorBoard",
]
