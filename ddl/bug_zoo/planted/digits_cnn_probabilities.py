import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        return F.softmax(self.fc(x.flatten(1)), dim=1)


digits = load_digits()
images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)
loader = DataLoader(TensorDataset(images[:1000], labels[:1000]), batch_size=100, shuffle=True)
x_test, y_test = images[1400:], labels[1400:]

torch.manual_seed(1)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loss = F.cross_entropy


def step(x, y):
    output = model(x)
    value = loss(output, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=3):
    history = []
    for _ in range(epochs):
        losses = [step(x, y) for x, y in loader]
        history.append(sum(losses) / len(losses))
    return history


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()
