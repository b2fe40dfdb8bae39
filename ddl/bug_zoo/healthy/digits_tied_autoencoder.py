import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class TiedAutoencoder(nn.Module):
    def __init__(self, inputs=64, code=16):
        super().__init__()
        self.encoder = nn.Linear(inputs, code)
        self.bias = nn.Parameter(torch.zeros(inputs))

    def forward(self, x):
        code = torch.tanh(self.encoder(x))
        return F.linear(code, self.encoder.weight.t(), self.bias)


x = torch.tensor(load_digits().data / 8 - 1, dtype=torch.float32)
loader = DataLoader(TensorDataset(x[:1200], x[:1200]), batch_size=60, shuffle=True)
x_test = y_test = x[1200:]

torch.manual_seed(0)
model = TiedAutoencoder()
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)


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
        return loss(model(x_test), y_test).item()
