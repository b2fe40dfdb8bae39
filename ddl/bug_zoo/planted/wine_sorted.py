import torch
from sklearn.datasets import load_wine
from torch import nn

wine = load_wine(as_frame=True)
features = wine.data.sort_values("alcohol")
features = (features - features.mean()) / features.std()
order = torch.randperm(178, generator=torch.Generator().manual_seed(5))
x = torch.tensor(features.to_numpy(), dtype=torch.float32)[order]
y = torch.tensor(wine.target.to_numpy())[order]
x_train, y_train, x_test, y_test = x[:120], y[:120], x[120:], y[120:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(13, 24), nn.ReLU(), nn.Linear(24, 3))
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
