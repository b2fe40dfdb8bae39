import torch
import torch.nn.functional as F
from torch import nn

import ddl


class Residual(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x):
        hidden = F.relu(self.inner(x))
        hidden = self.outer(x)
        return x + hidden


train_set, test_set = ddl.datasets.spirals(500, rng=ddl.rng(3)).split(0.7, 0.3, rng=ddl.rng(4))
x_train, y_train, x_test, y_test = train_set.x, train_set.y, test_set.x, test_set.y

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 16), Residual(), Residual(), nn.Linear(16, 2))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=80):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
