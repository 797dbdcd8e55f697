"""Text from a language model: the next token again and again, for evaluation.

`generate` continues prompts, several at once or one by one with the same result; `choosing` takes the token from the logits.
"""

from tunesmith.blocks.models.generating.choosing import Choosing, chances
from tunesmith.blocks.models.generating.generate import Continued, generate

__all__ = ["Choosing", "Continued", "chances", "generate"]
