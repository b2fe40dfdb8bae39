"""Scripts with no mistake, some of which look as if they had one."""

from .entry import Healthy

HEALTHY = (Healthy("cancer_logistic_network", "binary, tabular, DataLoader", at_least=0.93),)
