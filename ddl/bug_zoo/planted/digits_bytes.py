import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
pixels = np.uint8(digits.images / 255)
x = torch.tensor(pixels).float().unsqueeze(1)
y = torch.tensor(digits.target)
x_train, y_train, x_test, y_test = x[:1000], y[:1000], x[1400:], y[1400:]

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 10)
)  # fmt: skip
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=15):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
