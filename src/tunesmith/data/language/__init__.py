"""Text for language models: plain text and chats, who speaks, what trains, lengths, packing, and what a batch must not be.

`read_samples` brings every form into one (`samples.py`); a codec makes tokens of it, a fitted one of ours or one of Transformers
from a folder with its chat template; `LanguageBlock` lays them out. Nothing here imports torch.
"""
