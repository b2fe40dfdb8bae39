from itertools import pairwise

import torch
from torch import nn

import ddl


class Net(nn.Module):
    def __init__(self, sizes, activation):
        super().__init__()
        self.activation = activation
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


train_set, test_set = ddl.datasets.checkerboard(600, rng=ddl.rng(1)).split(0.7, 0.3, rng=ddl.rng(2))
x_train, y_train, x_test, y_test = train_set.x, train_set.y, test_set.x, test_set.y

torch.manual_seed(0)
model = Net((2, 48, 48, 2), torch.relu)
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=200):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
