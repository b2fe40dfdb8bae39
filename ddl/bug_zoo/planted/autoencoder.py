import torch
from sklearn.datasets import load_digits
from sklearn.preprocessing import scale
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x = torch.tensor(scale(load_digits().data), dtype=torch.float32)
x_train, x_test = x[:1200], x[1200:]
y_test = x_test
loader = DataLoader(TensorDataset(x_train, x_train), batch_size=60, shuffle=True)


class Autoencoder(nn.Module):
    def __init__(self, inputs=64, code=12):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(inputs, 48), nn.ReLU(), nn.Linear(48, code))
        self.decoder = nn.Sequential(nn.Linear(code, 48), nn.ReLU(), nn.Linear(48, inputs), nn.Sigmoid())

    def forward(self, x):
        return self.decoder(self.encoder(x))


torch.manual_seed(0)
model = Autoencoder()
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=5):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        return loss(model(x_test), y_test).item()
