import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 48), nn.ReLU())
        self.digit = nn.Linear(48, 10)
        self.ink = nn.Linear(48, 1)

    def forward(self, x):
        hidden = self.body(x)
        return torch.cat([self.digit(hidden), self.ink(hidden)], dim=1)


digits = load_digits()
x = torch.tensor(digits.data / 16, dtype=torch.float32)
ink = (x.mean(1) - x.mean()) / x.mean(1).std()
y = torch.stack([torch.tensor(digits.target).float(), ink], dim=1)
loader = DataLoader(TensorDataset(x[:1200], y[:1200]), batch_size=60, shuffle=True)
x_test, y_test = x[1200:], y[1200:]

torch.manual_seed(0)
model = TwoHeads()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)


def loss(output, y):
    return F.cross_entropy(output[:, :10], y[:, 0].long()) + 0.5 * F.mse_loss(output[:, 10], y[:, 1])


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=8):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        return (model(x_test)[:, :10].argmax(1) == y_test[:, 0]).float().mean().item()
