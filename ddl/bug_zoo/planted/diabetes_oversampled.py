import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale
from torch import nn

x, y = load_diabetes(return_X_y=True, scaled=False)
x, y = scale(x).astype(np.float32), (y > 200).astype(np.int64)
rng = np.random.default_rng(0)
severe = np.flatnonzero(y == 1)
extra = rng.choice(severe, size=(y == 0).sum() - len(severe))
x, y = np.concatenate([x, x[extra]]), np.concatenate([y, y[extra]])
parts = train_test_split(x, y, test_size=0.3, random_state=0)
x_train, x_test, y_train, y_test = (torch.from_numpy(part) for part in parts)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
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
