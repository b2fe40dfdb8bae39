import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

cancer = load_breast_cancer()
x = StandardScaler().fit_transform(cancer.data)
y = 2 * cancer.target - 1
x, y = torch.tensor(x).float(), torch.tensor(y).float().unsqueeze(1)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=2)
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1))
loss = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=15):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        return nn.functional.binary_cross_entropy_with_logits(model(x_test), y_test.clamp(0)).item()
