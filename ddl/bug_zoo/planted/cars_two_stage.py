import torch
from torch import nn

from ddl import datasets

cars = datasets.auto_mpg().standardized()
order = torch.randperm(len(cars), generator=torch.Generator().manual_seed(2))
x, y = cars.x[order], (cars.y[order] - cars.y.mean()) / cars.y.std()
x_train, y_train, x_test, y_test = x[:300], y[:300], x[300:], y[300:]


class TwoStage(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(7, width), nn.Tanh(), nn.Linear(width, 2), nn.Tanh())
        self.regressor = nn.Linear(2, 1)

    @torch.no_grad()
    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        return self.regressor(self.encode(x))


torch.manual_seed(0)
model = TwoStage()
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)


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
