import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_breast_cancer(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=1)
scaler = StandardScaler()
scaler.fit(x_train)
x_train, x_test = (torch.tensor(part).float() for part in (x_train, x_test))
y_train, y_test = (torch.tensor(part).float().unsqueeze(1) for part in (y_train, y_test))
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(30, 16), nn.Tanh(), nn.Linear(16, 1))
loss = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
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
    with torch.no_grad():
        return ((model(x_test) > 0) == y_test).float().mean().item()
