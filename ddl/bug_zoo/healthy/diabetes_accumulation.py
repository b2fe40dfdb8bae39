import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_diabetes(return_X_y=True)
x = torch.tensor(scale(x), dtype=torch.float32)
y = torch.tensor(scale(y), dtype=torch.float32).unsqueeze(1)
loader = DataLoader(TensorDataset(x[:320], y[:320]), batch_size=10, shuffle=True)
x_test, y_test = x[320:], y[320:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 1))
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
ACCUMULATE, calls = 4, 0


def step(x, y):
    global calls
    value = loss(model(x), y)
    (value / ACCUMULATE).backward()
    calls += 1
    if calls % ACCUMULATE == 0:
        optimizer.step()
        optimizer.zero_grad()
    return value.item()


def train(epochs=15):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        return loss(model(x_test), y_test).item()
