import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_diabetes(return_X_y=True, scaled=False)
x_train, x_test, y_train, y_test = train_test_split(x, y.reshape(-1, 1), test_size=0.3, random_state=0)
scaler = StandardScaler().fit(x_train)
x_train, x_test = (torch.tensor(scaler.transform(part)).float() for part in (x_train, x_test))
y_train, y_test = (torch.tensor(part).float() for part in (y_train, y_test))
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
loss = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)


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
        return 1 - (loss(model(x_test), y_test) / y_test.var()).item()
