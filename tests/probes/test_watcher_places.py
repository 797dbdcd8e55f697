"""Places: which models of sequences see the answers, which do not, and which are not asked."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.doctor.probes.watcher_places import Places

ROWS, LENGTH, WORDS = 12, 10, 20


class Language(nn.Module):
    """A causal convolution over words, or one that looks `ahead`."""

    def __init__(self, ahead: int = 0, outputs: int = WORDS, turned: bool = False) -> None:
        super().__init__()
        self.ahead, self.turned = ahead, turned
        self.table, self.conv, self.last = nn.Embedding(WORDS, 8), nn.Conv1d(8, 8, 3), nn.Linear(8, outputs)

    def forward(self, words: Tensor) -> Tensor:
        h = self.table(words.T if self.turned else words).transpose(1, 2)
        h = self.conv(functional.pad(h, (2 - self.ahead, self.ahead))).transpose(1, 2)
        found = self.last(h.relu())
        return found.transpose(0, 1) if self.turned else found


def text(rows: int = ROWS) -> Tensor:
    return torch.randint(0, WORDS, (rows, LENGTH + 1), generator=torch.Generator().manual_seed(0))


def asked(model: nn.Module, x: Tensor, y: Tensor, loss_fn=None, updates: int = 3, handed: bool = False) -> dict:
    torch.manual_seed(0)
    loss_fn = loss_fn or (lambda scores, words: functional.cross_entropy(scores.flatten(0, 1), words.flatten()))
    optimizer, onlooker = torch.optim.SGD(model.parameters(), lr=0.1), Places(model, loss_fn)
    try:
        for call in range(1, updates + 1):
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
            onlooker.seen(call, y if handed else None)
    finally:
        onlooker.close()
    return onlooker.facts().get("ahead", {})


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_a_model_of_words_that_sees_the_next_is_told_from_one_that_does_not(ahead, turned):
    words = text()
    x, y = (words[:, :-1].T, words[:, 1:].T) if turned else (words[:, :-1], words[:, 1:])

    told = asked(Language(ahead, turned=turned), x.contiguous(), y.contiguous())

    assert told["steps"] == 1
    assert (told["change"] > told["bound"]) == (ahead > 0)
    assert told["back"] == ahead


def test_targets_that_were_not_shifted_are_told_with_what_the_model_makes_of_the_place_itself():
    told = asked(Language(), text()[:, :-1], text()[:, :-1])

    assert told["steps"] == 0
    assert told["change"] == 0.0 < told["bound"] < told["own"]


def test_a_series_of_numbers_in_another_unit():
    class Net(nn.Module):
        def __init__(self, both):
            super().__init__()
            self.rnn = nn.GRU(2, 4, batch_first=True, bidirectional=both)
            self.last = nn.Linear(8 if both else 4, 1)

        def forward(self, x):
            return self.last(self.rnn(x)[0])

    draw = torch.Generator().manual_seed(1)
    series = torch.randn(ROWS, LENGTH + 1, 2, generator=draw)
    told = [asked(Net(both), series[:, :-1], 5 + 3 * series[:, 1:, :1], nn.MSELoss()) for both in (False, True)]

    assert [one["change"] > one["bound"] for one in told] == [False, True]


def test_only_scored_outputs_count():
    words = text()
    answers = words[:, 1:].clone()
    answers[:, :6] = -100

    class Prefix(Language):  # sees the next word in the first places alone
        def forward(self, words):
            h = self.table(words)
            h = torch.cat((h[:, :5] + h[:, 1:6], h[:, 5:]), 1)
            return self.last(h)

    assert asked(Prefix(), words[:, :-1], words[:, 1:])["change"] > 0.01
    assert asked(Prefix(), words[:, :-1], answers)["change"] == 0.0


@pytest.mark.parametrize("kind", ["tags", "classes", "both ways"])
def test_what_is_no_forecast_is_not_asked(kind):
    words = text()[:, :-1]
    if kind == "tags":
        assert asked(Language(1), words, (words * 7 + words.roll(2, 1)) % WORDS) == {}
    elif kind == "classes":
        model = nn.Sequential(nn.Flatten(), nn.Linear(LENGTH, 3))
        assert asked(model, torch.randn(ROWS, LENGTH), torch.arange(ROWS) % 3, nn.CrossEntropyLoss()) == {}
    else:
        told = asked(Language(1), words, words)
        assert told["steps"] == 0
        assert told["change"] > told["bound"]


def test_a_look_leaves_nothing_behind():
    class Counting(Language):
        def __init__(self):
            super().__init__(1)
            self.drop = nn.Dropout(0.5)
            self.register_buffer("passes", torch.zeros(()))

        def forward(self, words):
            self.passes += 1
            return self.drop(super().forward(words))

    def trained(watched: bool) -> tuple[list[Tensor], float]:
        torch.manual_seed(3)
        model = Counting()
        if watched:
            asked(model, text()[:, :-1], text()[:, 1:], updates=20)
        else:
            torch.manual_seed(0)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for _ in range(20):
                optimizer.zero_grad()
                functional.cross_entropy(model(text()[:, :-1]).flatten(0, 1), text()[:, 1:].flatten()).backward()
                optimizer.step()
        assert not model._forward_pre_hooks
        return [each.detach() for each in model.parameters()], float(model.passes)

    (one, passes), (other, others) = trained(True), trained(False)

    assert passes == others
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def test_a_layer_that_begins_with_zeros_is_asked_later():
    class Late(Language):
        def __init__(self):
            super().__init__()
            self.more = nn.Parameter(torch.zeros(()))
            self.calls = 0

        def forward(self, words):
            self.calls += self.training
            h = self.table(words)
            return self.last(h + (self.calls > 5) * h.roll(-1, 1))

    told = asked(Late(), text()[:, :-1], text()[:, 1:], updates=20)

    assert told["change"] > told["bound"]


def test_targets_that_the_user_hands_over():
    def likelihood(scores, words):
        return -scores.log_softmax(-1).exp().clamp(min=1e-9).log().mul(functional.one_hot(words, WORDS)).sum(-1).mean()

    assert asked(Language(1), text()[:, :-1], text()[:, 1:], likelihood) == {}
    assert asked(Language(1), text()[:, :-1], text()[:, 1:], likelihood, handed=True)["change"] > 0.01
