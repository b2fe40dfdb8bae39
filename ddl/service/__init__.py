"""A model as a small web service on one's own machine: exported, validated, counted, and shut down cleanly.

It shows the parts that every service has. It has no encryption, no passwords and no queue: do not open it to
a network.
"""

from ddl.service.exporting import Exported, export, load
from ddl.service.features import Feature
from ddl.service.server import Service

__all__ = ["Exported", "Feature", "Service", "export", "load"]
