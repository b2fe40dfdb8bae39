import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

frame = load_breast_cancer(as_frame=True).frame.sample(frac=1, random_state=0)
y = torch.tensor(frame["target"].to_numpy()).float().unsqueeze(1)
x = torch.tensor(scale(frame.to_numpy())).float()
x_train, y_train, x_test, y_test = x[:400], y[:400], x[400:], y[400:]
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=40, shuffle=True)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Linear(16, 1))
loss = nn.BCEWithLogitsLoss()
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
        return loss(model(x_test), y_test).item()
