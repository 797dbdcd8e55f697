import pytest
import torch
from torch import nn

from tests.preflight.outputs_planted import found, loud, net, program

WORDS = torch.randint(0, 40, (300, 12), generator=torch.Generator().manual_seed(1))
KINDS = WORDS.sum(1) % 2


class Text(nn.Module):
    def __init__(self, words=40, places=12, bag=False):
        super().__init__()
        self.words = nn.EmbeddingBag(words, 8) if bag else nn.Embedding(words, 8)
        self.places = nn.Embedding(places, 8)
        self.bag = bag
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        if self.bag:
            return self.out(self.words(x))
        return self.out((self.words(x) + self.places(torch.arange(x.shape[1]))).mean(1))


def text(model, words=WORDS):
    return program(model, nn.CrossEntropyLoss(), KINDS, words)


@pytest.mark.parametrize("bag", [False, True])
def test_a_rare_word_beyond_its_table(bag):
    words = WORDS.clone()
    words[[17, 250], 3] = torch.tensor([40, 47])

    (finding,) = loud("index_tables", text(Text(bag=bag), words))

    assert (finding.fault, finding.severity) == ("data.label_out_of_range", "error")
    assert (finding.values["number"], finding.values["size"]) == (47, 40)
    assert finding.subject["rows"] == [17, 250]
    assert finding.subject["layers"] == ["words"]


def test_a_negative_number():
    words = WORDS.clone()
    words[5, 0] = -1

    (finding,) = loud("index_tables", text(Text(), words))

    assert finding.values["number"] == -1


def test_a_position_table_shorter_than_the_rows():
    (finding,) = loud("index_tables", text(Text(places=10)))

    assert (finding.values["table"], finding.values["number"]) == ("places", 11)


def test_a_table_indexed_by_hand():
    class ByHand(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.randn(40, 2))

        def forward(self, x):
            return self.table[x].mean(1)

    words = WORDS.clone()
    words[17, 3] = 41

    (finding,) = loud("index_tables", text(ByHand(), words))

    assert (finding.message, finding.subject["rows"]) == ("outputs.index_raises", [17])


def test_validation_rows_are_looked_at_too():
    later = WORDS.clone()
    later[9, 9] = 40

    (finding,) = loud("index_tables", program(Text(), nn.CrossEntropyLoss(), KINDS, WORDS, val=(later, KINDS)))

    assert (finding.subject["part"], finding.subject["rows"]) == ("val", [9])


def test_numbers_that_fit():
    assert not found("index_tables", text(Text()))
    assert not found("index_tables", text(Text(bag=True)))
    assert not found("index_tables", program(net(5), nn.CrossEntropyLoss()))
