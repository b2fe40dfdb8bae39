import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ddl import datasets, rng

train_set, test_set = datasets.auto_mpg().split(0.75, 0.25, rng=rng(41))
test_set, train_set = test_set.standardized(by=train_set), train_set.standardized()
loader = DataLoader(TensorDataset(train_set.x, train_set.y), batch_size=42, shuffle=True)
x_test, y_test = test_set.x, test_set.y

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, 1))
nn.init.constant_(model[2].bias, train_set.y.mean().item())
loss = nn.HuberLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=20):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        return loss(model(x_test), y_test).item()
