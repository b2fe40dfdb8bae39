import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ddl import datasets, rng

train_set, test_set = datasets.wine().split(0.725, 0.275, rng=rng(9))
test_set, train_set = test_set.standardized(by=train_set), train_set.standardized()
loader = DataLoader(TensorDataset(train_set.x, train_set.y), batch_size=16, shuffle=True)
x_test, y_test = test_set.x, test_set.y

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(13, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 3))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    model.train()
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=6):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    model.eval()
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
