"""How the committed networks were trained: `python -m lib.training.make_...`."""
