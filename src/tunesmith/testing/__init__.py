"""The proving ground: sound training programs, and ways to plant one known fault in them.

`healthy` holds programs and tasks that learn; `sabotage` changes one of them so that it carries one fault; `training` trains a
program as it stands, to measure whether the fault does harm; `split` says which of them rules were built on and which were kept away.
"""
