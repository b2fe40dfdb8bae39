"""The table of all scripts."""

from .data import DATA
from .entry import Bug, Healthy
from .evaluation import EVALUATION
from .healthy import HEALTHY
from .losses import LOSSES
from .updates import UPDATES

BUGS: tuple[Bug, ...] = DATA + LOSSES + UPDATES + EVALUATION

__all__ = ["BUGS", "HEALTHY", "Bug", "Healthy"]
