import torch
from torch import nn

import ddl

train_set, test_set = ddl.datasets.moons(300, noise=0.1, rng=ddl.rng(1)).split(0.7, 0.3, rng=ddl.rng(2))
x_train, y_train, x_test, y_test = train_set.x, train_set.y, test_set.x, test_set.y


class Net(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.hidden = nn.Linear(2, width)
        self.out = nn.Linear(width, 2)
        nn.init.constant_(self.hidden.weight, 0.1)
        nn.init.constant_(self.out.weight, 0.1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


torch.manual_seed(0)
model = Net()
with torch.no_grad():
    model.hidden.bias.zero_()
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.03)


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
        return (model(x_test).argmax(1) == y_test).float().mean().item()
