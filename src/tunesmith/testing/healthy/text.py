"""Programs that read short text messages."""

import torch
from torch import Tensor, nn

from tunesmith.records import Program
from tunesmith.testing.healthy.catalogue import healthy
from tunesmith.testing.healthy.data import message_counts, message_tokens, parted
from tunesmith.testing.healthy.pictures import loaded

WORDS = 600
SPAM_WEIGHT = torch.tensor([3.0])  # about one message in seven is spam


@healthy("messages_bag_of_words", data="sms")
def messages_bag_of_words(seed: int) -> Program:
    x, y = message_counts()
    train, val, test = parted(x, y.float(), seed)
    model = nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1), nn.Flatten(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return Program(
        model, nn.BCEWithLogitsLoss(), optimizer, train, val, test=test, batch_size=32, epochs=10, metric="roc_auc"
    )


class Reader(nn.Module):
    """Embedding, a recurrent layer, the mean over the words that are there, one logit."""

    def __init__(self, cell: type[nn.LSTM] | type[nn.GRU], *, bidirectional: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 24, padding_idx=0)
        self.rnn = cell(24, 24, batch_first=True, bidirectional=bidirectional)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(48 if bidirectional else 24, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        there = (tokens > 0).float()[..., None]
        states, _ = self.rnn(self.embedding(tokens))
        mean = (states * there).sum(1) / there.sum(1)
        return self.fc(self.drop(mean))[:, 0]  # type: ignore[no-any-return]


@healthy("messages_lstm", data="sms")
def messages_lstm(seed: int) -> Program:
    x, y = message_tokens()
    train, val, test = parted(x, y.float(), seed)
    model = Reader(nn.LSTM, bidirectional=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Program(
        model,
        nn.BCEWithLogitsLoss(pos_weight=SPAM_WEIGHT),
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=6,
        clip_norm=1.0,
        metric="roc_auc",
    )


@healthy("messages_gru_loader", data="sms")
def messages_gru_loader(seed: int) -> Program:
    x, y = message_tokens()
    train, val, test = parted(x, y.float(), seed)
    model = Reader(nn.GRU)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3)
    return Program(
        model,
        nn.BCEWithLogitsLoss(),
        optimizer,
        loaded(train, 16, seed),
        loaded(val, 64, seed, shuffle=False),
        test=test,
        batch_size=16,
        epochs=6,
        metric="roc_auc",
    )


class TextTransformer(nn.Module):
    """One encoder layer over words with their places, what fills up is masked; two logits."""

    def __init__(self, length: int = 32, width: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, width, padding_idx=0)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.1, batch_first=True, norm_first=True)
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        gone = tokens == 0
        h = self.layer(self.embedding(tokens) + self.places, src_key_padding_mask=gone)
        there = (~gone).float()[..., None]
        return self.fc(self.norm((h * there).sum(1) / there.sum(1)))  # type: ignore[no-any-return]


@healthy("messages_transformer", data="sms")
def messages_transformer(seed: int) -> Program:
    train, val, test = parted(*message_tokens(), seed)
    model = TextTransformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    return Program(
        model,
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0])),
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=6,
        metric="roc_auc",
        num_classes=2,
    )
