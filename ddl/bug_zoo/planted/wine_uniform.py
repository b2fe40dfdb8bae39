import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale
from torch import nn

wine = load_wine()
order = torch.randperm(178, generator=torch.Generator().manual_seed(3))
x = torch.tensor(scale(wine.data), dtype=torch.float32)[order]
y = torch.tensor(wine.target)[order]
x_train, y_train, x_test, y_test = x[:100], y[:100], x[100:], y[100:]


def initialise(module):
    if isinstance(module, nn.Linear):
        nn.init.uniform_(module.weight, -10, 10)
        nn.init.zeros_(module.bias)


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(13, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 3))
model[:4].apply(initialise)
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


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
        return loss(model(x_test), y_test).item()
