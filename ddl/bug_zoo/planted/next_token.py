import torch
import torch.nn.functional as F
from torch import nn

WORDS, LENGTH = 12, 12


def sentences(n):
    rows = [torch.randint(WORDS, (n,))]
    for _ in range(LENGTH):
        jump = torch.rand(n) < 0.4
        rows.append(torch.where(jump, torch.randint(WORDS, (n,)), (3 * rows[-1] + 1) % WORDS))
    return torch.stack(rows, dim=1)


class Transformer(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.embed = nn.Embedding(WORDS, width)
        self.position = nn.Parameter(0.5 * torch.randn(LENGTH, width))
        self.layer = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(width, WORDS)

    def forward(self, tokens):
        x = self.embed(tokens) + self.position
        return self.head(self.layer(x))


torch.manual_seed(0)
text = sentences(300)
x_train, y_train, x_test, y_test = text[:200, :-1], text[:200, 1:], text[200:, :-1], text[200:, 1:]
model = Transformer()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)


def loss(logits, y):
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


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
        return (model(x_test).argmax(-1) == y_test).float().mean().item()
