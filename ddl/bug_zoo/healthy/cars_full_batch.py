import torch
from torch import nn

from ddl import datasets, rng

train_set, test_set = datasets.auto_mpg().split(0.75, 0.25, rng=rng(1))
test_set, train_set = test_set.standardized(by=train_set), train_set.standardized()
mean, std = train_set.y.mean(), train_set.y.std()
x_train, y_train = train_set.x, (train_set.y - mean) / std
x_test, y_test = test_set.x, (test_set.y - mean) / std

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


def train(epochs=150):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return (loss(model(x_test), y_test).sqrt() * std).item()
