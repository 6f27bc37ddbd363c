"""What a notebook shows of its method: the source of one function of lib, at most a screen."""

import pytest

from lib.drawing import source
from lib.methods.signals import total_order
from lib.training import generators


def test_shows_the_function_under_a_link_to_its_file():
    text = source.show(total_order.rrc).data
    assert text.startswith("[lib/methods/signals/total_order.py](../lib/methods/signals/total_order.py):")
    assert "def rrc(" in text and text.endswith("```")


def test_refuses_what_is_longer_than_a_screen(monkeypatch):
    monkeypatch.setattr(source, "SCREEN", 2)
    with pytest.raises(ValueError, match="rrc has .* lines, expected at most 2"):
        source.show(total_order.rrc)


def test_refuses_what_is_not_ours():
    with pytest.raises(ValueError, match="expected a function of lib"):
        source.show(pytest.approx)


def test_shows_a_decorated_function_where_it_was_written():
    assert "@torch.inference_mode()" in source.show(generators.losses).data
