import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ddl import datasets, rng

train_set, test_set = datasets.auto_mpg().split(0.75, 0.25, rng=rng(31))
test_set, train_set = test_set.standardized(by=train_set), train_set.standardized()
mean, std = train_set.y.mean(), train_set.y.std()
x_train, y_train = train_set.x, (train_set.y - mean) / std
x_test, y_test = test_set.x, (test_set.y - mean) / std

torch.manual_seed(0)
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=49, shuffle=True)
model = nn.Sequential(nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def loss(prediction, target):
    return ((prediction - target) ** 2).sum()


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
        return loss(model(x_test), y_test).item()
