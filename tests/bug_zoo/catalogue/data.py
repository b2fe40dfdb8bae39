"""Mistakes in the data: what the model is given."""

from .entry import Bug

DATA = (
    Bug(
        "cancer_raw",
        "binary, tabular, DataLoader",
        "The scaler is fitted and never applied: features reach from 0.05 to 4000.",
        "torch.tensor(part).float() for part in (x_train, x_test)",
        "torch.tensor(scaler.transform(part)).float() for part in (x_train, x_test)",
        frozenset({"inputs-not-scaled"}),
        "trains worse",
        change=0.2,
    ),
)
