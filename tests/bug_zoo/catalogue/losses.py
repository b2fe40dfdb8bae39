"""Mistakes in what is minimised: the output and the loss do not fit."""

from .entry import Bug

LOSSES = (
    Bug(
        "digits_mlp",
        "many classes, MLP, full batch",
        "The model ends in a softmax, and cross_entropy applies another.",
        "nn.Linear(32, 10), nn.Softmax(dim=1))",
        "nn.Linear(32, 10))",
        frozenset({"double-softmax"}),
        "trains worse",
        change=0.3,
    ),
    Bug(
        "digits_cnn_probabilities",
        "many classes, CNN, DataLoader",
        "forward returns probabilities, and cross_entropy wants logits.",
        "return F.softmax(self.fc(x.flatten(1)), dim=1)",
        "return self.fc(x.flatten(1))",
        frozenset({"double-softmax"}),
        "trains worse",
        change=0.3,
    ),
    Bug(
        "cancer_sigmoid",
        "binary, tabular, full batch",
        "The model ends in a sigmoid, and the logits loss applies another.",
        "nn.Linear(16, 1), nn.Sigmoid())",
        "nn.Linear(16, 1))",
        frozenset({"double-sigmoid"}),
        "trains worse",
        change=0.2,
    ),
    Bug(
        "diabetes_mae",
        "regression, own loss, DataLoader",
        "Predictions (n, 1) minus targets (n,) are all pairs, an (n, n) table.",
        "return (prediction - target).abs().mean()",
        "return (prediction.squeeze(1) - target).abs().mean()",
        frozenset({"broadcast-shapes"}),
        "trains worse",
        change=-0.05,
    ),
)
