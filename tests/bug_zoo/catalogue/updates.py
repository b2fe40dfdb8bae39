"""Mistakes in how the parameters are changed: gradients, optimiser, initialisation."""

from .entry import Bug

UPDATES = (
    Bug(
        "digits_momentum",
        "many classes, MLP, DataLoader",
        "zero_grad is forgotten: every step repeats the gradients of all steps before.",
        "    value.backward()\n",
        "    optimizer.zero_grad()\n    value.backward()\n",
        frozenset({"gradients-not-zeroed"}),
        "trains worse",
        change=0.3,
    ),
    Bug(
        "digits_new_head",
        "fine-tuning, many classes, full batch",
        "The optimiser is made before the head is replaced, and holds the old one.",
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.2)\nmodel.head = nn.Linear(16, 5)\n",
        "model.head = nn.Linear(16, 5)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.2)\n",
        frozenset({"parameters-not-in-optimizer"}),
        "trains worse",
        change=-0.1,
    ),
)
