"""What is wrong with this training run? A report with evidence, questions and remedies."""

from ddl.diagnosis.report import Finding, Report
from ddl.diagnosis.running import diagnose

__all__ = ["Finding", "Report", "diagnose"]
