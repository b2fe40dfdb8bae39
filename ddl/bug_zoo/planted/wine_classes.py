import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

table = load_wine(as_frame=True).frame.sample(frac=1, random_state=0)
table["cultivar"] = table.pop("target") + 1
x = torch.tensor(scale(table.drop(columns="cultivar"))).float()
y = torch.tensor(table["cultivar"].to_numpy())
loader = DataLoader(TensorDataset(x[:120], y[:120]), batch_size=20, shuffle=True)
x_test, y_test = x[120:], y[120:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3))
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


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
    return history


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
