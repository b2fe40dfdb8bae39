"""What may happen between the steps and the epochs of a training run."""

from ddl.training.callbacks.base import Callback, Run
from ddl.training.callbacks.checkpoint import Checkpoint
from ddl.training.callbacks.snapshots import Snapshots
from ddl.training.callbacks.stopping import EarlyStopping

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "Run", "Snapshots"]
