"""Print the score: ``python -m ddl.bug_zoo``."""

from ddl.bug_zoo.score import all_diagnoses, table

print(table(list(all_diagnoses())))
