import torch
import torch.nn.functional as F
from torch import nn

WORDS, LENGTH = 12, 10


class LanguageModel(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.embed = nn.Embedding(WORDS, width)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.position = nn.Parameter(0.1 * torch.randn(LENGTH, width))
        self.layer = nn.TransformerEncoderLayer(width, 2, 48, dropout=0.0, batch_first=True)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(LENGTH))
        self.head = nn.Linear(width, WORDS, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        x = self.embed(tokens) + self.position
        return self.head(self.layer(x, self.mask))


torch.manual_seed(0)
rows = [torch.randint(WORDS, (300,))]
for _ in range(LENGTH):
    rows.append(torch.where(torch.rand(300) < 0.1, torch.randint(WORDS, (300,)), (3 * rows[-1] + 1) % WORDS))
text = torch.stack(rows, dim=1)
x_train, y_train, x_test, y_test = text[:200, :-1], text[:200, 1:], text[200:, :-1], text[200:, 1:]
model = LanguageModel()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def loss(logits, y):
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


def step(x, y):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()


def train(epochs=50):
    return [step(x_train, y_train) for _ in range(epochs)]


def evaluate():
    with torch.no_grad():
        return (model(x_test).argmax(-1) == y_test).float().mean().item()
