"""Print the score: ``python -m tests.bug_zoo``."""

from .score import all_diagnoses, table

print(table(list(all_diagnoses())))
