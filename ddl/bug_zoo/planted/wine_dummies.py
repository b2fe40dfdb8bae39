import pandas as pd
import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale
from torch import nn

frame = load_wine(as_frame=True).frame.sample(frac=1, random_state=2)
frame["cultivar"] = frame.pop("target").map({0: "A", 1: "B", 2: "C"})
y = torch.tensor(pd.Categorical(frame["cultivar"]).codes).long()
x = torch.tensor(scale(pd.get_dummies(frame).to_numpy(dtype=float)), dtype=torch.float32)
x_train, y_train, x_test, y_test = x[:100], y[:100], x[100:], y[100:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Linear(16, 3))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


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
        return loss(model(x_test), y_test).item()
