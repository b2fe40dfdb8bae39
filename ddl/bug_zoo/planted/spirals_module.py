import torch
import torch.nn.functional as F
from torch import nn

import ddl


class Net(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.fc1 = nn.Linear(2, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, 2)

    def forward(self, x):
        x = self.fc1(x)
        x = self.fc2(x)
        return self.fc3(x)


train_set, test_set = ddl.datasets.spirals(400, rng=ddl.rng(1)).split(0.7, 0.3, rng=ddl.rng(2))
x_train, y_train, x_test, y_test = train_set.x, train_set.y, test_set.x, test_set.y

torch.manual_seed(0)
model = Net()
loss = F.cross_entropy
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)


def step(x, y):
    model.train()
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=100):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    model.eval()
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
