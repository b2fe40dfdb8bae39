import torch
from torch import nn

from ddl import datasets, rng

train_set, test_set = datasets.wine().split(0.6, 0.4, rng=rng(2))
mean, std = train_set.x.mean(1, keepdim=True), train_set.x.std(1, keepdim=True)
x_train, y_train = (train_set.x - mean) / std, train_set.y
mean, std = test_set.x.mean(1, keepdim=True), test_set.x.std(1, keepdim=True)
x_test, y_test = (test_set.x - mean) / std, test_set.y

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


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
        return (model(x_test).argmax(1) == y_test).float().mean().item()
