import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, inputs, width=32):
        super().__init__()
        self.fc1 = nn.Linear(inputs, width)
        self.fc2 = nn.Linear(width, 2)

    def forward(self, x):
        x = F.dropout(F.relu(self.fc1(x)), p=0.8)
        return self.fc2(x)


x, y = load_breast_cancer(return_X_y=True)
x, y = torch.tensor(scale(x)).float(), torch.tensor(y)
loader = DataLoader(TensorDataset(x[:350], y[:350]), batch_size=35, shuffle=True)
x_test, y_test = x[350:], y[350:]

torch.manual_seed(0)
model = Net(30)
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)


def step(x, y):
    model.train()
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
    return history


def evaluate():
    model.eval()
    with torch.no_grad():
        return loss(model(x_test), y_test).item()
