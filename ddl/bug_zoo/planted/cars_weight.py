import torch
from torch import nn

from ddl import datasets, rng

train_set, test_set = datasets.auto_mpg().split(0.75, 0.25, rng=rng(32))
weight = train_set.feature_names.index("weight")
other = [column for column in range(7) if column != weight]
y_train, y_test = train_set.x[:, [weight]], test_set.x[:, [weight]]
mean, std = train_set.x[:, other].mean(0), train_set.x[:, other].std(0)
x_train, x_test = (train_set.x[:, other] - mean) / std, (test_set.x[:, other] - mean) / std

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
loss = nn.L1Loss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=120):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return 1 - ((model(x_test) - y_test).square().mean() / y_test.var()).item()
