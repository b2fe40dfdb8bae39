import torch
from sklearn.datasets import make_circles
from torch import nn

x, y = make_circles(400, noise=0.1, factor=0.4, random_state=0)
x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
x_train, y_train, x_test, y_test = x[:300], y[:300], x[300:], y[300:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 16), nn.Linear(16, 16), nn.Linear(16, 2))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=100):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
