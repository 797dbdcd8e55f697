"""Adapters: a pretrained net stays as it is, and small matrices beside its linear layers train (LoRA, arXiv:2106.09685).

insert   puts them into a net and freezes the rest, as `model.lora` of a recipe says
merge    adds them to the weights: a plain net again, with the same outputs
save     stores them alone, in PEFT's layout, with the mark of the net they belong to
load     puts a stored adapter into that net, and into no other
"""

from tunesmith.training.adapters.inserting import Inserted, has_adapter, insert, targets_of
from tunesmith.training.adapters.merging import merge, merged_weights
from tunesmith.training.adapters.storing import load, save

__all__ = ["Inserted", "has_adapter", "insert", "load", "merge", "merged_weights", "save", "targets_of"]
