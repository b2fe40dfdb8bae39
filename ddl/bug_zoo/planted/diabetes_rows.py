import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale
from torch import nn

x, y = load_diabetes(return_X_y=True)
x, y = scale(x), scale(y).reshape(-1, 1)
rng = np.random.default_rng(0)
train_rows = rng.choice(len(x), size=300)
test_rows = rng.choice(len(x), size=120)
x_train, y_train = (torch.tensor(values[train_rows]).float() for values in (x, y))
x_test, y_test = (torch.tensor(values[test_rows]).float() for values in (x, y))

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=120):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return loss(model(x_test), y_test).item()
