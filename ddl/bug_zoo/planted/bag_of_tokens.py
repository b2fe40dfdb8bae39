import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(0)
tokens = rng.integers(1, 12, size=(800, 10))
lengths = rng.integers(4, 11, size=800)
tokens[np.arange(10) >= lengths[:, None]] = 0
labels = ((tokens == 3) | (tokens == 7)).sum(1) > 1
x, y = torch.tensor(tokens), torch.tensor(labels).long()
loader = DataLoader(TensorDataset(x[:600], y[:600]), batch_size=50, shuffle=True)
x_test, y_test = x[600:], y[600:]


class BagOfTokens(nn.Module):
    def __init__(self, words=12, width=16):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.head = nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, tokens):
        padding = (tokens == 0).unsqueeze(-1)
        embedded = self.embed(tokens) * padding
        return self.head(embedded.sum(1))


torch.manual_seed(0)
model = BagOfTokens()
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=6):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
