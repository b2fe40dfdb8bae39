import torch
from torch import nn

from ddl import datasets, rng

train_set, test_set = datasets.auto_mpg().split(0.75, 0.25, rng=rng(4))
test_set, train_set = test_set.standardized(by=train_set), train_set.standardized()
x_train, x_test = train_set.x, test_set.x
mean, std = train_set.y.mean(), train_set.y.std()
y_train, y_test = (train_set.y - mean) / std, (test_set.y - mean) / std


def build():
    torch.manual_seed(0)
    layers = []
    for inputs, outputs in ((7, 32), (32, 16), (16, 1)):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


model = build()
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)


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
