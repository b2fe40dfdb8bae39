import torch
from torch import nn

torch.manual_seed(1)
x_train = torch.linspace(-1, 1, 10).unsqueeze(1)
y_train = torch.sin(3 * x_train) + 0.05 * torch.randn(10, 1)
x_test = torch.linspace(-0.95, 0.95, 25).unsqueeze(1)
y_test = torch.sin(3 * x_test)

model = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 1))
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=250):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return loss(model(x_test), y_test).item()
