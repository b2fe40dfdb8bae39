import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch import nn

x, y = load_breast_cancer(return_X_y=True)
x = torch.tensor(scale(x), dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)
x_train, y_train, x_test, y_test = x[:400], y[:400], x[400:], y[400:]


class Risk(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(30, 12)
        self.out = nn.Linear(12, 1)

    def forward(self, x):
        x = torch.tanh(self.hidden(x))
        return torch.sigmoid(self.out(x)).squeeze(-1)


torch.manual_seed(0)
model = Risk()
loss = nn.functional.binary_cross_entropy_with_logits
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=60):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return loss(model(x_test), y_test).item()
