import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale
from torch import nn

wine = load_wine()
order = torch.randperm(178, generator=torch.Generator().manual_seed(0))
x = torch.tensor(scale(wine.data), dtype=torch.float32)[order]
y = torch.tensor(wine.target)[order]
x_train, y_train, x_test, y_test = x[:120], y[:120], x[120:], y[120:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(13, 16), nn.Tanh(), nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def loss(logits, y):
    log_p = torch.log_softmax(logits, dim=1)
    return log_p[torch.arange(len(y)), y].mean()


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=40):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
