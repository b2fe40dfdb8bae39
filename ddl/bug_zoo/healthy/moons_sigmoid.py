import torch
from torch import nn

import ddl

train_set, test_set = ddl.datasets.moons(400, noise=0.15, rng=ddl.rng(5)).split(0.7, 0.3, rng=ddl.rng(6))
x_train, y_train, x_test, y_test = train_set.x, train_set.y, test_set.x, test_set.y

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 24), nn.Sigmoid(), nn.Linear(24, 2))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=150):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
