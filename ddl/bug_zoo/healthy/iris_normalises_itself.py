import torch
from sklearn.datasets import load_iris
from torch import nn

data = load_iris()
order = torch.randperm(150, generator=torch.Generator().manual_seed(2))
x = torch.tensor(data.data, dtype=torch.float32)[order]
y = torch.tensor(data.target)[order]
x_train, y_train, x_test, y_test = x[:110], y[:110], x[110:], y[110:]

torch.manual_seed(0)
model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 3))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)


def step(x, y):
    model.train()
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=60):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    model.eval()
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
