import torch
import torch.nn.functional as F
from torch import nn

import ddl

train_set, test_set = ddl.datasets.digits().split(0.6, 0.4, rng=ddl.rng(5))
x_train, y_train = train_set.x / 16, train_set.y
x_test, y_test = test_set.x / 16, test_set.y


def loss(output, y):
    return F.mse_loss(output.squeeze(1), y.float())


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


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
        output = model(x_test)
    predicted = output.argmax(1) if output.shape[1] > 1 else output.round().long().squeeze(1)
    return (predicted == y_test).float().mean().item()
