"""Half-trained weights: nothing is put in place before all of it is there and sound, and nothing of others is lost."""

from functools import partial

import pytest
import torch

from lib.base import paths, weights
from lib.training import loop, store

INFO = {"made_by": {"recipe": 1}, "history": {"validation_loss": [0.5, 0.25], "epochs": 2}}


def made(name: str, value: float) -> dict:
    """A task: weights with a state kept on the way."""
    if value < 0:
        raise RuntimeError("interrupted")
    for ending in ("-step64", ""):
        info = weights.save(f"{name}{ending}", {"w": torch.full((3,), value)}, INFO)
    return info


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path / "build"))
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path / "weights"))
    for name in ("zoo/read", "things/one"):
        weights.save(name, {"w": torch.zeros(3)}, INFO)
    monkeypatch.setattr(store, "side_by_side", lambda tasks, *_: (task() for task in tasks))  # in this process
    return tmp_path


def retrain(groups, **how) -> None:
    options = store.parsed(store.parser("test"), ["--processes", "1", "--precision", "32-true"])
    store.retrain("things", groups, options, {paths.weights(): ("zoo/*",)}, **how)


def there(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_interrupted_run_replaces_nothing_and_a_whole_one_everything_at_once(folders, capsys):
    fresh, before = folders / "build/retrained/things", there(folders / "weights")
    with pytest.raises(RuntimeError, match="interrupted"):
        retrain([[partial(made, "things/one", 1.0)], [partial(made, "things/two", -1.0)]])
    assert there(folders / "weights") == before and weights.load("things/one")[0]["w"].tolist() == [0, 0, 0]
    assert {"zoo/read.json", "things/one.json", "things/one-step64.json"} <= there(fresh)
    (fresh / "things/other.json").write_text("{}")  # left half-done by somebody else
    tasks = [partial(made, name, 2.0) for name in ("things/one", "things/two", "stays/three", "large/four")]
    retrain([tasks[:3], tasks[3:]], stays="stays/*", scratch="large/*")
    both = {f"{step}{end}" for step in ("", "-step64") for end in (".json", ".safetensors")}
    assert there(folders / "weights") == before | {f"things/{name}{end}" for name in ("one", "two") for end in both}
    assert weights.load("things/one")[0]["w"].tolist() == [2, 2, 2]
    assert there(fresh) == {"things/other.json"} | {f"stays/three{end}" for end in both}
    assert "things/one: validation loss 0.25" in capsys.readouterr().out


def test_a_damaged_file_is_never_put_in_place(folders, monkeypatch):
    def damaged(tasks, *_):
        info = tasks[0]()
        (paths.weights() / "things/one.safetensors").write_bytes(b"damaged")
        yield info

    monkeypatch.setattr(store, "side_by_side", damaged)
    with pytest.raises(ValueError, match="digest"):
        retrain([[partial(made, "things/one", 1.0)]])
    assert weights.load("things/one")[0]["w"].tolist() == [0, 0, 0]


def test_what_is_there_by_the_same_recipe_is_left_alone_and_what_is_damaged_made_again(folders):
    calls = []

    def train(checkpoint):
        calls.append(checkpoint)
        loop.save_checkpoint(checkpoint, {})
        return made("things/one", 3.0)

    assert store.once("things/one", {"recipe": 1}, train)["made_by"] == {"recipe": 1} and not calls
    store.once("things/one", {"recipe": 2}, train)
    assert len(calls) == 1 and not calls[0].exists()
    (paths.weights() / "things/one.safetensors").write_bytes(b"damaged")
    store.once("things/one", {"recipe": 1}, train)
    assert len(calls) == 2 and calls[0] != calls[1] and weights.load("things/one")[0]["w"].tolist() == [3, 3, 3]


@pytest.mark.parametrize("half", [True, False])
def test_weights_are_halved_where_the_accuracy_bears_it(folders, half):
    state = {"w": torch.tensor([1 / 3])}
    measure = lambda state: {"accuracy": 0.5 if half else float(100 * state["w"]), "loss": 1.0}  # noqa: E731
    info = store.save_halved("things/one", state, INFO, measure)
    assert info["half"] is half and info["validation"]["loss"] == 1
    assert torch.equal(weights.load("things/one")[0]["w"], weights.as_stored(state, half=half)["w"])


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_stored_reads_back_as_said(folders, whole):
    state = {"w": torch.rand(4, 5), "b": torch.rand(4), "running_mean": torch.rand(4), "n": torch.arange(2)}
    weights.save("things/one", state, INFO, whole=whole)
    found, said = weights.load("things/one")[0], weights.as_stored(state, whole=whole)
    assert found.keys() == said.keys() and all(torch.equal(found[name], said[name]) for name in said)


def test_a_recipe_without_batches_or_epochs_is_refused():
    for recipe in ((0, 1), (1, 0)):
        made = type("Recipe", (), {"batch": recipe[0], "epochs": recipe[1], "seed": 0})
        with pytest.raises(ValueError, match="expected at least 1 of each"):
            loop.train(None, made, {}, [], None, None, None, None, None)
