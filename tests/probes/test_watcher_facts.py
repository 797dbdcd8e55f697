"""All onlookers on one loop: what they leave behind, and the question put to the model."""

import copy
import gc
import io
import json
import weakref

import pytest
import torch
from torch import nn

from tests.probes.looped import classes, net, plain, train
from tunesmith.doctor.probes.watcher import Moment
from tunesmith.doctor.probes.watcher_facts import LoopFacts


class Beside(nn.Module):
    """Outputs that depend on the other rows of the batch."""

    def __init__(self, how):
        super().__init__()
        self.net, self.how = net(), how

    def forward(self, x):
        h = self.net(x)
        return h - h.mean(0) if self.how == "centred" else h + torch.rand(()) if self.how == "random" else h


def test_rows_that_depend_on_each_other_are_found():
    told = {how: train(Beside(how), nn.CrossEntropyLoss(), classes()).facts() for how in ("centred", "apart", "random")}

    assert told["centred"]["coupling"] > 0.01
    assert told["apart"]["coupling"] < 1e-5
    assert "coupling" not in told["random"]
    assert told["random"]["restless"] == 0.0


def test_a_recurrent_layer_along_the_batch_is_found():
    class Tagger(nn.Module):
        def __init__(self, batch_first):
            super().__init__()
            self.rnn, self.last = nn.GRU(4, 8, batch_first=batch_first), nn.Linear(8, 3)

        def forward(self, x):
            return self.last(self.rnn(x)[0][:, -1])

    x, y = torch.randn(160, 5, 4), torch.randint(0, 3, (160,))
    told = {right: train(Tagger(right), nn.CrossEntropyLoss(), (x, y)).facts()["coupling"] for right in (True, False)}

    assert told[True] < 1e-5 < 1e-3 < told[False]


def test_numbers_from_outside_any_seed_are_found():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.draw = net(), torch.Generator()
            self.draw.seed()

        def forward(self, x):
            return self.net(x + 0.1 * torch.randn(x.shape, generator=self.draw))

    assert train(Noisy(), nn.CrossEntropyLoss(), classes()).facts()["restless"] > 1e-3


@pytest.mark.parametrize("known", [True, False])
def test_a_watched_run_is_the_same_run(known):
    def trained(watched):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 3))
        loss_fn, (x, y) = nn.CrossEntropyLoss(), classes()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        torch.manual_seed(7)
        if watched:
            train(model, loss_fn, (x, y), optimizer=optimizer, known=known)
        else:
            for _ in range(3):
                for start in range(0, len(x), 32):
                    plain(model, optimizer, loss_fn, x[start : start + 32], y[start : start + 32])
        return model.state_dict()

    bare, seen = trained(False), trained(True)

    assert all(torch.equal(bare[name], seen[name]) for name in bare)


def hooks_of(model, optimizer, loss_fn):
    places = [*model.modules(), loss_fn]
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    tensors = sum(len(each._backward_hooks or ()) for each in model.parameters())
    steps = len(optimizer._optimizer_step_pre_hooks) + len(optimizer._optimizer_step_post_hooks)
    return sum(len(getattr(each, kind)) for each in places for kind in kinds) + tensors + steps


def test_it_leaves_without_a_trace_and_keeps_nobody_alive():
    model, loss_fn = net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    facts = LoopFacts(model, [optimizer], loss_fn)
    there = hooks_of(model, optimizer, loss_fn)

    plain(model, optimizer, loss_fn, *(each[:32] for each in classes()))
    facts(Moment(step=1, loss=1.0, model=model, optimizers=[optimizer]))
    facts.close()

    assert there > 0
    assert hooks_of(model, optimizer, loss_fn) == 0
    assert torch.autograd.backward.__module__ == "torch.autograd"
    gone = weakref.ref(model)
    del model, optimizer
    gc.collect()
    assert gone() is None
    assert facts.facts()["updates"] == 1


def test_a_watched_model_can_be_copied_and_saved():
    model, loss_fn = net(), nn.CrossEntropyLoss()
    facts = LoopFacts(model, [torch.optim.SGD(model.parameters(), lr=0.1)], loss_fn)

    copied = copy.deepcopy(model)
    file = io.BytesIO()
    torch.save(model, file)

    copied(torch.zeros(2, 4))
    assert facts.facts()["training_passes"] == 0
    assert file.tell() > 0
    facts.close()


def test_a_crash_tells_labels_and_indices():
    x, y = classes()
    model, loss_fn = net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    facts = LoopFacts(model, [optimizer], loss_fn)

    with pytest.raises(IndexError) as raised:
        plain(model, optimizer, loss_fn, x[:32], y[:32] + 5)
    facts.crashed(raised.value)

    crash = facts.facts()["crash"]
    assert crash["width"] == 3
    assert crash["labels"][1] > 2
    assert crash["kind"] == "IndexError"
    facts.close()


def test_a_token_beyond_its_table_is_told():
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 3))
    facts = LoopFacts(model, [torch.optim.SGD(model.parameters(), lr=0.1)], nn.CrossEntropyLoss())

    with pytest.raises(IndexError) as raised:
        model(torch.tensor([[1, 12]]))
    facts.crashed(raised.value)

    assert facts.facts()["crash"]["indices"] == [1, 12]
    assert facts.facts()["crash"]["tables"] == [9]
    facts.close()


def test_the_facts_are_plain_data():
    json.dumps(train(net(), nn.CrossEntropyLoss(), classes()).facts(), allow_nan=False)


def test_a_model_that_cannot_be_asked_says_nothing():
    class Picky(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x):
            if len(x) != 32:
                raise ValueError("32 rows, please")
            return self.net(x)

    told = train(Picky(), nn.CrossEntropyLoss(), classes()).facts()

    assert "coupling" not in told
    assert "restless" not in told
