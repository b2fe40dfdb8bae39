"""Small simulated worlds in which a model fails after deployment, each with a hidden truth to judge it by.

A world is a frozen dataclass: its parameters have a unit and a range, ``dataclasses.replace`` gives a world
that differs in one of them, and it draws from the ``numpy.random.Generator`` given.

Examples
--------
>>> import ddl
>>> world = ddl.scenarios.Hiring(bias=1.0)
>>> world.applicants(1000, rng=ddl.rng(1)).x.shape
(1000, 6)
"""

from ddl.scenarios.hiring import Applicants, Hiring
from ddl.scenarios.hospital import Hospital, Images
from ddl.scenarios.housing import HousingMarket, Sales

__all__ = ["Applicants", "Hiring", "Hospital", "HousingMarket", "Images", "Sales"]
