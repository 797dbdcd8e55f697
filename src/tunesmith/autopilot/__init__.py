"""The autopilot: carries out the craft in the order masters teach it, inside a budget, and writes down why it did each thing.

`pilot.py` goes through the stages of `stages/`; each is made of steps (a look, a training, a search), which `ledger.py` keeps as soon as they are
done, so that a killed `tune` goes on with the step it was in. Decisions follow from the steps alone: gone through again they are the same.
"""
