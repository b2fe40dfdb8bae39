import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch import nn

data = load_breast_cancer()
x = torch.tensor(scale(data.data), dtype=torch.float32)
y = torch.tensor(2 * data.target - 1, dtype=torch.float32)
x_train, y_train, x_test, y_test = x[:400], y[:400], x[400:], y[400:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def loss(score, y):
    return torch.clamp(1 - y * score, min=0).mean()


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
        return (model(x_test).sign() == y_test).float().mean().item()
