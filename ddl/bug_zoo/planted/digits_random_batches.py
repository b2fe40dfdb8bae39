import numpy as np
import torch
from torch import nn

import ddl

train_set, test_set = ddl.datasets.digits().split(0.7, 0.3, rng=ddl.rng(9))
x_train, y_train = train_set.x / 16, train_set.y
x_test, y_test = test_set.x / 16, test_set.y


class RandomBatches:
    def __init__(self, x, y, batches=8, size=30):
        self.x, self.y, self.batches, self.size = x, y, batches, size

    def __iter__(self):
        for _ in range(self.batches):
            rows = np.random.default_rng(0).permutation(len(self.x))[: self.size]
            yield self.x[rows], self.y[rows]


loader = RandomBatches(x_train, y_train)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=10):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
