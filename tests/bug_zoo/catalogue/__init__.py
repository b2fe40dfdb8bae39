"""The table of all scripts."""

from .apart import APART
from .data import DATA
from .entry import Bug, Healthy
from .evaluation import EVALUATION
from .healthy import HEALTHY, HEALTHY_APART
from .losses import LOSSES
from .updates import UPDATES

BUGS: tuple[Bug, ...] = DATA + LOSSES + UPDATES + EVALUATION

__all__ = ["APART", "BUGS", "HEALTHY", "HEALTHY_APART", "Bug", "Healthy"]
