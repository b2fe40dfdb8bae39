import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_diabetes(return_X_y=True)
x = torch.tensor(scale(x), dtype=torch.float32)
y = torch.tensor(scale(y), dtype=torch.float32).unsqueeze(1)
loader = DataLoader(TensorDataset(x[:350], y[:350]), batch_size=35, shuffle=True)
x_test, y_test = x[350:], y[350:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
loss = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
optimizer.zero_grad()


def step(x, y):
    prediction = model(x)
    value = loss(prediction, y)
    value.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()
    return value.item()


def train(epochs=30):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        return loss(model(x_test), y_test).item()
