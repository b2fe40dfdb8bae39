import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ddl import datasets, rng

digits = datasets.digits()
train_set, test_set = digits.split(0.8, 0.2, rng=rng(3))
order = train_set.y.argsort()
x_test, y_test = test_set.x / 16, test_set.y
loader = DataLoader(TensorDataset(train_set.x[order] / 16, train_set.y[order]), batch_size=30)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=3):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
