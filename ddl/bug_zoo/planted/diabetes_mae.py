import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_diabetes(return_X_y=True, scaled=False)
x = torch.tensor(x, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)
x = (x - x[:300].mean(0)) / x[:300].std(0)
mean, std = y[:300].mean(), y[:300].std()
loader = DataLoader(TensorDataset(x[:300], (y[:300] - mean) / std), batch_size=30, shuffle=True)
x_test, y_test = x[300:], (y[300:] - mean) / std


class Regressor(nn.Module):
    def __init__(self, inputs, hidden=24):
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


def loss(prediction, target):
    return (prediction - target).abs().mean()


torch.manual_seed(3)
model = Regressor(x.shape[1])
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)


def step(x, y):
    value = loss(model(x), y)
    optimizer.zero_grad()
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
        return (model(x_test).view(-1) - y_test.view(-1)).abs().mean().item()
