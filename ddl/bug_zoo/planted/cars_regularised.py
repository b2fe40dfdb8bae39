import torch
from torch import nn

from ddl import datasets

cars = datasets.auto_mpg().standardized()
order = torch.randperm(len(cars), generator=torch.Generator().manual_seed(11))
x, y = cars.x[order], (cars.y[order] - cars.y.mean()) / cars.y.std()
x_train, y_train, x_test, y_test = x[:300], y[:300], x[300:], y[300:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, 1))
loss = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1.0)


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
        return loss(model(x_test), y_test).sqrt().item()
