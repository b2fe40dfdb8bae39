import torch
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
x = torch.tensor(digits.data / 16, dtype=torch.float32)
y = torch.tensor(digits.target)
x_train, y_train = x[y >= 5][:200], y[y >= 5][:200] - 5
x_test, y_test = x[y >= 5][200:], y[y >= 5][200:] - 5

torch.manual_seed(0)
backbone = nn.Sequential(nn.Linear(64, 48), nn.ReLU())
head = nn.Linear(48, 5)
pretraining = torch.optim.Adam([*backbone.parameters(), *head.parameters()], lr=0.01)
for _ in range(30):
    pretraining.zero_grad()
    nn.functional.cross_entropy(head(backbone(x[y < 5])), y[y < 5]).backward()
    pretraining.step()

head = nn.Linear(48, 5)
model = nn.Sequential(backbone, head)
for parameter in model.parameters():
    parameter.requires_grad = False
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
        return (model(x_test).argmax(1) == y_test).float().mean().item()
