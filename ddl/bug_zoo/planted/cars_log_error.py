import torch
from torch import nn

from ddl import datasets, rng

train_set, test_set = datasets.auto_mpg().split(0.75, 0.25, rng=rng(6))
test_set, train_set = test_set.standardized(by=train_set), train_set.standardized()
x_train, y_train, x_test, y_test = train_set.x, train_set.y / 10, test_set.x, test_set.y / 10

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def loss(prediction, target):
    return (torch.log(prediction) - torch.log(target)).square().mean()


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
        return (model(x_test) - y_test).abs().mean().item()
