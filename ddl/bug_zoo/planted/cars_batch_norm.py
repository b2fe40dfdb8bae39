import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ddl import datasets, rng

train_set, test_set = datasets.auto_mpg().split(0.75, 0.25, rng=rng(14))
test_set, train_set = test_set.standardized(by=train_set), train_set.standardized()
mean, std = train_set.y.mean(), train_set.y.std()
loader = DataLoader(TensorDataset(train_set.x, (train_set.y - mean) / std), batch_size=42, shuffle=True)
x_test, y_test = test_set.x, (test_set.y - mean) / std

torch.manual_seed(0)
model = nn.Sequential(
    nn.Linear(7, 32), nn.BatchNorm1d(32), nn.ReLU(),
    nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU(),
    nn.Linear(32, 1),
)  # fmt: skip
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=8):
    model.train()
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        errors = [
            (model(x) - y).square().mean() for x, y in zip(x_test.split(4), y_test.split(4), strict=True)
        ]
    return torch.stack(errors).mean().item()
