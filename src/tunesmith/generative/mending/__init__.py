"""Mending a training that collapsed: remedies tried one at a time on twins, and called remedies only where a twin proves it.

`remedies/` holds the changes of a game; `proof` what counts as better; `players` the twins; `mending` the rounds; `keeping` a folder
from which a repair goes on.
"""
