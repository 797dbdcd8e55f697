"""Language models in a folder, as others store them: `config.json` beside `*.safetensors`; read into our nets, and written.

    Llama        in the layout of Transformers (`model_type: llama`) and in that of llama2.c (`dim`, `n_layers`): our `decoder`
    BERT         in the layout of Transformers (`model_type: bert`): our `encoder`

`describe` says what a folder holds, `weights` gives its tensors by our names, `load` the net, `write` stores a decoder as others read it.
"""

from tunesmith.blocks.models.stored.describing import Pair, Stored, describe, is_stored
from tunesmith.blocks.models.stored.reading import grown, load, weights
from tunesmith.blocks.models.stored.writing import LAYOUTS, write

__all__ = ["LAYOUTS", "Pair", "Stored", "describe", "grown", "is_stored", "load", "weights", "write"]
