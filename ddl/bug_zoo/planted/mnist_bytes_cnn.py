import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ddl

data = ddl.datasets.mnist()
chosen = torch.randperm(len(data), generator=torch.Generator().manual_seed(1))[:600]
x, y = data.x[chosen] * 255, data.y[chosen]
loader = DataLoader(TensorDataset(x[:450], y[:450]), batch_size=30, shuffle=True)
x_test, y_test = x[450:], y[450:]

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 8, 5, stride=2),
    nn.ReLU(),
    nn.Conv2d(8, 16, 3, stride=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(400, 10),
)
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


def step(x, y):
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
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
