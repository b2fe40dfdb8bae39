import torch
from torch import nn

from ddl import datasets

cars = datasets.auto_mpg().standardized()
order = torch.randperm(len(cars), generator=torch.Generator().manual_seed(8))
x, y = cars.x[order], (cars.y[order] - cars.y.mean()) / cars.y.std()
x_train, y_train, x_test, y_test = x[:300], y[:300], x[300:], y[300:]


class DeepNet(nn.Module):
    def __init__(self, width=32, depth=5):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(7, width)] + [nn.Linear(width, width) for _ in range(depth)])
        self.out = nn.Linear(width, 1)
        for layer in self.layers:
            nn.init.normal_(layer.weight)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.out(x)


torch.manual_seed(0)
model = DeepNet()
loss = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


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
