import pandas as pd
import torch
from sklearn.datasets import load_iris
from torch import nn

iris = load_iris(as_frame=True).frame.sample(frac=1, random_state=0)
species = pd.Categorical(iris.pop("target"))
x = torch.tensor(((iris - iris.mean()) / iris.std()).to_numpy(), dtype=torch.float32)
y = torch.tensor(species.codes)
x_train, y_train, x_test, y_test = x[:100], y[:100], x[100:], y[100:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 3))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.03)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=40):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
