"""The table of all scripts."""

from ddl.bug_zoo.catalogue.apart import APART
from ddl.bug_zoo.catalogue.data import DATA
from ddl.bug_zoo.catalogue.entry import Bug, Healthy
from ddl.bug_zoo.catalogue.evaluation import EVALUATION
from ddl.bug_zoo.catalogue.healthy import HEALTHY, HEALTHY_APART
from ddl.bug_zoo.catalogue.losses import LOSSES
from ddl.bug_zoo.catalogue.updates import UPDATES

BUGS: tuple[Bug, ...] = DATA + LOSSES + UPDATES + EVALUATION

__all__ = ["APART", "BUGS", "HEALTHY", "HEALTHY_APART", "Bug", "Healthy"]
