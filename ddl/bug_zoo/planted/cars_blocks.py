import torch
from torch import nn

from ddl import datasets

cars = datasets.auto_mpg().standardized()
order = torch.randperm(len(cars), generator=torch.Generator().manual_seed(1))
x, y = cars.x[order], (cars.y[order] - cars.y.mean()) / cars.y.std()
x_train, y_train, x_test, y_test = x[:300], y[:300], x[300:], y[300:]


class Net(nn.Module):
    def __init__(self, width=24, depth=2):
        super().__init__()
        self.first = nn.Linear(7, width)
        self.blocks = [nn.Linear(width, width) for _ in range(depth)]
        self.last = nn.Linear(width, 1)

    def forward(self, x):
        x = torch.relu(self.first(x))
        for block in self.blocks:
            x = torch.relu(block(x))
        return self.last(x)


torch.manual_seed(0)
model = Net()
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=60):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return loss(model(x_test), y_test).sqrt().item()
