import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ddl

digits = ddl.datasets.mnist()
chosen = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))[:900]
x, y = digits.x[chosen], digits.y[chosen]
loader = DataLoader(TensorDataset(x[:700], y[:700]), batch_size=50, shuffle=True)
x_test, y_test = x[700:], y[700:]

torch.manual_seed(0)
model = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)


def step(x, y):
    model.train()
    value = loss(model(x), y)
    for parameter in model.parameters():
        parameter.grad = None
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
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
    model.train(was_training)
    return accuracy
