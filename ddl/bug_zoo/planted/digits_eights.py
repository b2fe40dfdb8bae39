import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

digits = load_digits()
x = torch.tensor(digits.data / 16, dtype=torch.float32)
y = torch.tensor(digits.target == 8).float().unsqueeze(1)
keep = (y[:, 0] == 0) | (torch.arange(len(y)) % 5 == 0)
x, y = x[keep], y[keep]
x_train, y_train, x_test, y_test = x[:1000], y[:1000], x[1000:], y[1000:]
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=50, shuffle=True)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 1))
loss = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=10):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        predicted = (model(x_test) > 0).float()
    return (predicted[y_test == 1].mean() + (1 - predicted[y_test == 0]).mean()).item() / 2
