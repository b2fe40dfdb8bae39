import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ddl import datasets

cars = datasets.auto_mpg().standardized()
held_out = torch.arange(len(cars)) % 4 == 0
mean, std = cars.y.mean(), cars.y.std()
x_test, y_test = cars.x[held_out], (cars.y[held_out] - mean) / std
train_part = TensorDataset(cars.x[~held_out], (cars.y[~held_out] - mean) / std)
test_part = TensorDataset(x_test, y_test)
loader = DataLoader(train_part, batch_size=28, shuffle=True)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(7, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)


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
        evaluate()
    return history


def evaluate():
    losses = [step(x, y) for x, y in DataLoader(test_part, batch_size=14)]
    return sum(losses) / len(losses)
