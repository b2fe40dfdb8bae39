import torch
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
x = torch.tensor(digits.data / 16, dtype=torch.float32)
y = torch.tensor(digits.target)
x_train, y_train, x_test, y_test = x[:120], y[:120], x[120:], y[120:]

torch.manual_seed(0)
model = nn.Sequential(
    nn.Linear(64, 96), nn.ReLU(), nn.Dropout(0.6),
    nn.Linear(96, 96), nn.ReLU(), nn.Dropout(0.6),
    nn.Linear(96, 10),
)  # fmt: skip
model.eval()
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=100):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    training = model.training
    model.eval()
    with torch.no_grad():
        value = loss(model(x_test), y_test).item()
    model.train(training)
    return value
