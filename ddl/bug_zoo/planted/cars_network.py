import torch
from torch import nn

from ddl import datasets

cars = datasets.auto_mpg().standardized()
order = torch.randperm(len(cars), generator=torch.Generator().manual_seed(0))
x, y = cars.x[order], cars.y[order]
y = ((y - y.mean()) / y.std()).squeeze(1)
x_train, y_train, x_test, y_test = x[:300], y[:300], x[300:], y[300:]

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
        return (model(x_test).flatten() - y_test.flatten()).abs().mean().item()
