import torch
from torch import nn

torch.manual_seed(0)
time = torch.arange(600) * 0.15
series = torch.sin(time) + 0.5 * torch.sin(2.3 * time) + 0.05 * torch.randn(600)
windows = series.unfold(0, 13, 1)
x, y = windows[:, :-1].unsqueeze(-1), windows[:, -1:]
x_train, y_train, x_test, y_test = x[:400], y[:400], x[400:], y[400:]


class Forecast(nn.Module):
    def __init__(self, hidden=16):
        super().__init__()
        self.rnn = nn.RNN(1, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.out(states[:, -1])


model = Forecast()
loss = nn.SmoothL1Loss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=60):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return loss(model(x_test), y_test).item()
