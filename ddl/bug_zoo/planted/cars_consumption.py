import pandas as pd
import torch
from torch import nn

from ddl import datasets

data = datasets.auto_mpg()
cars = pd.DataFrame(data.x.numpy(), columns=list(data.feature_names)).drop(columns="origin")
cars["mpg"] = data.y.numpy()
cars["litres per 100 km"] = 235.215 / cars["mpg"]
cars = (cars - cars.mean()) / cars.std()
cars = cars.sample(frac=1, random_state=0)
x = torch.tensor(cars.drop(columns="mpg").to_numpy())
y = torch.tensor(cars[["mpg"]].to_numpy())
x_train, y_train, x_test, y_test = x[:300], y[:300], x[300:], y[300:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(x.shape[1], 16), nn.Tanh(), nn.Linear(16, 1))
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=150):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return loss(model(x_test), y_test).sqrt().item()
