import torch
from torch import nn

from ddl import datasets, rng

train_set, test_set = datasets.wine().split(0.7, 0.3, rng=rng(7))
test_set, train_set = test_set.standardized(by=train_set), train_set.standardized()
x_train, y_train, x_test, y_test = train_set.x, train_set.y, test_set.x, test_set.y

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    output = model(x)
    value = loss(output, y)
    optimizer.step()
    return value.item()


def train(epochs=40):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
