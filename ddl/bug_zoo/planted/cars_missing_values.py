import numpy as np
import torch
from torch import nn

from ddl import datasets

cars = datasets.auto_mpg()
x, y = cars.x.numpy().copy(), cars.y.numpy()
rng = np.random.default_rng(0)
order = rng.permutation(len(x))
x, y = x[order], y[order]
x[rng.random(len(x)) < 0.05, 2] = np.nan

complete = ~np.isnan(x).any(axis=1)
x = x[complete]
y = y[: len(x)]
x = torch.tensor((x - x.mean(0)) / x.std(0))
y = torch.tensor((y - y.mean()) / y.std())
x_train, y_train, x_test, y_test = x[:280], y[:280], x[280:], y[280:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(7, 16), nn.Tanh(), nn.Linear(16, 1))
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=100):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return loss(model(x_test), y_test).sqrt().item()
