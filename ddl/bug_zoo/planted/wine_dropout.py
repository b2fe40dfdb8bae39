import torch
from torch import nn

import ddl

train_set, test_set = ddl.datasets.wine().split(0.6, 0.4, rng=ddl.rng(3))
test_set, train_set = test_set.standardized(by=train_set), train_set.standardized()
x_train, y_train, x_test, y_test = train_set.x, train_set.y, test_set.x, test_set.y


def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(13, 32), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(32, 3),
    )  # fmt: skip


model = build()
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)


def step(x, y):
    model.train()
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
