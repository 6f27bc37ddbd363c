"""Runs with other parameters than the profile's: folders of their own, their own verdicts, and nothing taken for the
profile's."""

import json
import os
import re
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT
from test_runner import edit, ran, tiny

from lib.record import captions
from lib.running import custom, given, identities, params


def folder_of(project, start: str = "embedded-"):
    """The one folder in build/ of a run with parameters of its own."""
    (found,) = [path for path in project.build.iterdir() if path.name.startswith(start)]
    return found


# --- folders


def test_a_folder_is_named_by_what_was_changed_and_told_apart_by_all_of_it():
    def name(label="", **changed):
        return custom.folder_name("embedded", {"09_tiny": changed}, label)

    assert name() == "embedded" and custom.folder_name("smoke", {}) == "smoke"
    assert re.fullmatch(r"embedded-window=8-[0-9a-f]{8}", name(window=8))
    assert re.fullmatch(r"embedded-window=8-networks=a\+b-[0-9a-f]{8}", name(window=8, networks=["/x/a.yaml", "b.yml"]))
    assert re.fullmatch(r"embedded-mine-googlenet-[0-9a-f]{8}", name("mine-googlenet", window=8))
    assert re.fullmatch(r"embedded-mine-[0-9a-f]{8}", name("mine"))
    assert name(networks=["/x/a.yaml"]) != name(networks=["/y/a.yaml"])  # the same words, another network
    odd = name(networks=["/x/a b; rm -rf *.yaml", "ü" * 300, "../.."], text="x" * 500)
    assert re.fullmatch(r"[A-Za-z0-9._=+-]+", odd) and len(odd) < 100 and not odd.startswith(".")


def test_what_is_not_changed_does_not_make_a_run_of_its_own():
    assert custom.differing({"a": 1, "b": [2.0]}, {"a": 1, "b": [2]}) == {}
    assert custom.differing({"a": 1, "b": 3}, {"a": 2, "b": 3}) == {"a": 1}


def test_given_parameters_stay_away_from_committed_files_and_from_each_other(project):
    tiny(project)
    before = project.contents()
    for size in (7, 8):
        code, text = project.here("execute", "09", "-p", f"size={size}")
        assert code == 0, text
    assert project.contents() == before
    for size in (7, 8):
        folder = folder_of(project, f"embedded-size={size}-")
        assert (folder / "figures" / "embedded" / "09_line.csv").read_text().split() == ["x", "1", "2", str(size)]
        copy = nbformat.read(folder / "09_tiny.ipynb", as_version=4)
        injected = [cell for cell in copy.cells if "injected-parameters" in cell.metadata.get("tags", [])]
        assert len(injected) == 1 and f"size = {size}" in injected[0].source  # the reader sees with what it ran


def test_the_profiles_own_value_given_again_is_the_profiles_run(project):
    tiny(project)
    assert project.here("execute", "09", "-p", "size=3")[0] == 0
    assert [path.name for path in project.build.iterdir() if path.name.startswith("embedded")] == ["embedded"]
    assert project.ledger("09")["claims"]["E6"]["value"] == 0.4


def test_a_run_of_its_own_prints_its_own_verdicts_and_where_its_results_are(project):
    """A claim that the profile's run found to be something else is told as this run found it."""
    tiny(project)
    edit(
        project.notebooks / "09_tiny.ipynb",
        lambda book: book.cells[-1].update(
            source='from lib.record import claims\nclaims.record("E6", size / 10, (0.1, 0.9), run=run)'
        ),
    )
    assert project.run()[0] == 0
    before = project.contents()
    code, text = project.run("-p", "size=7", "--label", "mine-x")
    folder = folder_of(project, "embedded-mine-x-")
    assert code == 0 and ran(text) == ["09_tiny"], text
    assert project.contents() == before
    assert f"{folder / '09_tiny.ipynb'}" in text
    rows = [line for line in text.splitlines() if line.startswith("E6 ")]
    assert len(rows) == 1 and "0.700 [0.100, 0.900]" in rows[0] and "inconclusive" in rows[0], text
    assert "C1" not in text and "not yet computed" not in text
    code, text = project.run("09", "-p", "size=7", "--label", "mine-x")
    assert (code, ran(text)) == (0, []) and "0.700 [0.100, 0.900]" in text
    edit(project.notebooks / "09_tiny.ipynb", lambda book: book.cells[-1].update(source="1 / 0"))
    code, text = project.run("09", "-p", "size=7", "--label", "mine-x")
    assert code == 1 and "It recorded no claim" in text and "0.700" not in text, text  # an older run's is not told


# --- values on the command line


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("", []),
        ("  ", []),
        ("window=8", ["window=8"]),
        ("window=8 stride=4", ["window=8", "stride=4"]),
        (" 09.window = 8  stride=4 ", ["09.window = 8", "stride=4"]),
        ("networks=[a.yaml, b.yaml] window=8", ["networks=[a.yaml, b.yaml]", "window=8"]),
        ("network=/my nets/a.yaml window=8", ["network=/my nets/a.yaml", "window=8"]),
        ('networks=["/x=1 y=2/a.yaml", b.yaml] seeds=[0]', ['networks=["/x=1 y=2/a.yaml", b.yaml]', "seeds=[0]"]),
        ("network='/x y=2/a.yaml'", ["network='/x y=2/a.yaml'"]),
        ("network=/o'neil/a.yaml window=8", ["network=/o'neil/a.yaml", "window=8"]),
        ("networks=[a.yaml window=8", ["networks=[a.yaml window=8"]),  # told as no YAML
    ],
)
def test_a_line_of_values_is_split_where_the_next_name_begins(line, parts):
    assert given.split(line) == parts


def test_a_line_that_does_not_begin_with_a_name_gets_a_sentence():
    for line in ("8", "b.yaml] window=8"):
        with pytest.raises(ValueError, match="expected name=value, or several of them"):
            given.split(line)


NETS = {
    "networks": {"type": "list", "items": {"type": "str"}, "meaning": "networks"},
    "network": {"type": "str", "meaning": "a network"},
    "photographs": {"type": "list", "items": {"type": "str", "pattern": "chelsea|[./].*"}, "meaning": "photographs"},
    "world": {"type": "str", "choices": ["photos.yaml", "photos"], "meaning": "a world"},
}


def read(text: str, *folders):
    entries = {"01_one": {"parameters": NETS}}
    (values,) = params.overrides([text], ["01_one"], entries, list(folders) or None).values()
    (value,) = values.values()
    return value


def test_paths_are_found_where_the_command_was_given(tmp_path, monkeypatch):
    for name in ("here/a.yaml", "here/my nets/b c.yaml", "there/d.yml", "there/e.safetensors", "here/vgg/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    here, there = tmp_path / "here", tmp_path / "there"
    assert read("networks=[a.yaml, my nets/b c.yaml, vgg]", here, there) == [
        str(here / "a.yaml"), str(here / "my nets/b c.yaml"), "vgg",
    ]  # fmt: skip
    assert read("network=my nets/b c.yaml", here) == str(here / "my nets/b c.yaml")
    assert read("network='../there/d.yml'", here) == read("network=d.yml", here, there) == str(there / "d.yml")
    assert read("network=e.safetensors", there) == str(there / "e.safetensors")
    monkeypatch.setenv("HOME", str(here))
    assert read("networks=[~/a.yaml]", there) == [str(here / "a.yaml")]
    assert read("networks=[torchvision:resnet18, squeezenet1_1, v1.0, a/b]", here) == [
        "torchvision:resnet18", "squeezenet1_1", "v1.0", "a/b",
    ]  # fmt: skip
    assert read("photographs=[chelsea, ./vgg]", here) == ["chelsea", str(here / "vgg")]
    assert read("world=photos.yaml", here) == "photos.yaml"
    monkeypatch.chdir(here)
    assert read("network=a.yaml") == str(here / "a.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "networks=[squeezenet1_1, no.yaml]",
            r"01_one: networks\[1\]: there is no file no.yaml in .*/here or .*/there$",
        ),
        ("network=/no/no.yaml", "01_one: network: there is no file /no/no.yaml$"),
        ("network=./no", "01_one: network: there is no file ./no in .*/here"),
        ("network=~/no.yaml", "01_one: network: there is no file .*no.yaml"),
        ("networks=[a.yaml", r"01_one: networks is '\[a.yaml', which is not valid YAML .*needs quotes of its own"),
        ("networks=[a: b: c]", "01_one: networks is .* which is not valid YAML"),
        ("networks=a", r"01_one: networks is 'a' \(str\), expected list"),
        ("network=[a]", r"01_one: network is \['a'\] \(list\), expected str"),
        ("network=", r"01_one: network is None \(NoneType\), expected str"),
    ],
)
def test_a_missing_path_and_a_broken_list_get_a_sentence(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        read(text, tmp_path / "here", tmp_path / "there")


def test_make_hands_over_whole_values_and_the_folder_in_which_it_was_called(tmp_path):
    """With a stand-in for Python that only says what it was given."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$COMPANION_P|$COMPANION_FROM|$*"\n')
    python.chmod(0o755)
    (tmp_path / "my folder").mkdir()
    line = "networks=[a.yaml, my nets/b.yaml] network='$HOME/x.yaml' window=8"
    command = ["make", "-s", "-C", str(ROOT), "reproduce", f"P={line}", "ONLY=09 10", f"PY={python}", "INSTALLED="]
    environment = os.environ | {"PWD": str(tmp_path / "my folder")}
    done = subprocess.run(command, cwd=tmp_path / "my folder", env=environment, capture_output=True, text=True)
    said, folder, arguments = done.stdout.strip().split("|")
    assert (said, folder) == (line, str(tmp_path / "my folder")), done.stdout + done.stderr
    assert arguments.split() == ["-m", "lib.running.runner", "run", "09", "10", "--profile", "embedded", "--verdicts"]


def with_networks(project):
    """The tiny project, whose 09 has a parameter `nets` as well: a list of networks, by default none."""
    tiny(project)
    project.index["09_tiny"]["parameters"]["nets"] = {"type": "list", "items": {"type": "str"}, "meaning": "networks"}
    edit(
        project.notebooks / "09_tiny.ipynb",
        lambda book: book.cells[0].update(source=book.cells[0].source + "\nnets = []  # networks"),
    )
    project.profiles["embedded"]["09_tiny"]["nets"] = []
    project.save()
    return project


def test_a_run_takes_the_values_that_make_hands_over(project, tmp_path):
    with_networks(project)
    (tmp_path / "my nets").mkdir()
    (tmp_path / "my nets" / "a.safetensors").touch()
    line = "size=4 nets=[my nets/a.safetensors, squeezenet1_1]"
    environment = project.environment() | {"COMPANION_P": line, "COMPANION_FROM": str(tmp_path)}
    code, text = project.run("09", env=environment)
    assert code == 0, text
    source = (folder_of(project) / "09_tiny.ipynb").read_text()
    assert "size = 4" in source and str(tmp_path / "my nets/a.safetensors") in source
    code, text = project.run("09", env=environment | {"COMPANION_P": "nets=[no.yaml]"})
    assert code == 1 and f"09_tiny: nets[0]: there is no file no.yaml in {tmp_path} or {ROOT}" in text, text
    assert "Traceback" not in text and "begins" not in text


# --- networks known by what they are


NET = """
from pathlib import Path
import torch
from helper import act
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x):
        return act(self.fc(x.mean((2, 3))))

def build():
    print("a factory may talk")
    net = Net()
    net.load_state_dict(torch.load(Path(__file__).parent / "weights.pt"))
    return net
"""


def write_network(folder, seed: int = 0):
    """mine.yaml with its code, a neighbour that this imports, and weights."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.yaml").write_text("factory: net.py:build\nsize: 8\nmean: [0.5, 0.5, 0.5]\nstd: [1, 1, 1]\n")
    (folder / "net.py").write_text(NET)
    (folder / "helper.py").write_text("def act(x):\n    return x\n")
    torch.manual_seed(seed)
    linear = torch.nn.Linear(3, 4)
    torch.save({f"fc.{name}": one for name, one in linear.state_dict().items()}, folder / "weights.pt")
    return folder / "mine.yaml"


def known(*texts) -> dict[str, str]:
    asked = {str(text): f"09_tiny: nets[{number}]" for number, text in enumerate(texts)}
    return identities.of(asked, os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"})


def test_a_network_is_known_by_all_that_decides_its_answers(tmp_path):
    spec = write_network(tmp_path / "my net")
    first = known(spec)[str(spec)]
    os.utime(spec, (1, 1))
    assert known(spec)[str(spec)] == first
    seen = {first}
    for name, old, new in (
        ("mine.yaml", "0.5, 0.5, 0.5", "0.4, 0.5, 0.5"),
        ("net.py", "return act(", "return -act("),
        ("helper.py", "return x", "return 2 * x"),
    ):
        file = spec.parent / name
        file.write_text(file.read_text().replace(old, new))
        seen.add(known(spec)[str(spec)])
    write_network(spec.parent, seed=1)
    seen.add(known(spec)[str(spec)])
    assert len(seen) == 5


def test_files_and_folders_are_known_by_their_content(tmp_path):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "one.png").write_bytes(b"1")
    (tmp_path / "g.safetensors").write_bytes(b"g")
    (tmp_path / "g.json").write_text("{}")
    photos, generator = tmp_path / "photos", tmp_path / "g.safetensors"
    first = known(photos, generator)
    os.utime(photos / "a" / "one.png", (1, 1))
    assert known(photos, generator) == first
    (photos / "a" / "one.png").write_bytes(b"2")
    (tmp_path / "g.json").write_text("{ }")
    assert all(known(photos, generator)[name] != first[name] for name in first)
    assert identities.named({"a": [str(photos), "chelsea", "lenet"], "b": "torchvision:vgg11", "c": 3}, "09") == {
        str(photos): "09: a[0]", "torchvision:vgg11": "09: b",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def build():\n    raise RuntimeError('no\\nweights')", "mine.yaml: .*build raised RuntimeError: no weights"),
        ("def build():\n    raise SystemExit(2)", "09_tiny: nets.0.: .*mine.yaml: .*called exit .SystemExit: 2"),
        ("import os\nos._exit(7)", "09_tiny: nets.0.: loading .*mine.yaml ended its process with 7"),
        ("import sys\nassert sys.argv[1:] == ['x']\n", "mine.yaml: net.py:build could not be read: AssertionError"),
    ],
)
def test_a_network_that_cannot_be_loaded_is_told_with_its_parameter(tmp_path, code, sentence):
    spec = write_network(tmp_path)
    (tmp_path / "net.py").write_text(code)
    with pytest.raises(ValueError, match=sentence):
        known(spec)


def test_an_edited_network_is_run_again_and_a_broken_one_told_before_anything_runs(project, tmp_path):
    with_networks(project)
    spec = write_network(tmp_path / "nets")
    arguments = ("09", "-p", f"nets=[{spec}]")
    code, text = project.run(*arguments)
    assert (code, ran(text)) == (0, ["09_tiny"]), text
    code, text = project.run(*arguments)
    assert (code, ran(text)) == (0, []), text
    spec.write_text(spec.read_text().replace("0.5, 0.5, 0.5", "0.1, 0.5, 0.5"))
    code, text = project.run(*arguments)
    assert (code, ran(text)) == (0, ["09_tiny"]), text
    assert f"09_tiny: to run, since contents changed: {spec}" in text, text
    spec.write_text("factory: net.py:bild\nsize: 8\n")
    code, text = project.run(*arguments)
    assert code == 1 and text.startswith("09_tiny: nets[0]: ") and "net.py:bild could not be read" in text, text
    assert "begins" not in text and "Traceback" not in text


# --- runs by hand, beside the runner


STARTING = """
import os
from lib.base import paths
from lib.record import claims, figures
from lib.running.run import start
from matplotlib import pyplot as plt
run = start("09_tiny", globals())
claims.record("E6", size / 10, (0.1, 0.9), run=run)
shown = figures.save(plt.figure(), "09_line", {"x": [size]}, run=run)
said = {"caption": "A kept picture.", "alt": "Not ours to show."}
kept = figures.save(plt.figure(), "09_kept", {"x": [size]}, run=run, publish=False, **said)
(paths.of_run(profile) / "ran").touch()
"""


def starting(project):
    """A tiny project whose 09 starts as the real notebooks do."""
    project.add("09_tiny", [STARTING.strip()], {"size": 3, "step": 1}, claims=["E6"], figures=["09_line"])
    (project.notebooks / "captions").mkdir()
    (project.notebooks / "captions" / "09_tiny.yaml").write_text(
        "09_line:\n  caption: Three small dots.\n  alt: Dots, as said.\n  custom: {caption: 'Dots: {size} of them.'}\n"
    )
    return project


def by_hand(project, **parameters) -> str:
    """Papermill without the runner; what the notebook shows."""
    source, target = project.notebooks / "09_tiny.ipynb", project.folder / "by hand.ipynb"
    code = f"import papermill\npapermill.execute_notebook({str(source)!r}, {str(target)!r}, {parameters!r}, "
    code += "progress_bar=False, kernel_name='python3')"
    environment = project.environment() | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
    return target.read_text()


def test_a_run_by_hand_with_other_parameters_is_not_taken_for_the_profiles(project):
    starting(project)
    code, text = project.run()
    assert code == 0, text
    before = project.contents()
    kept = (project.build / "embedded" / "figures" / "09_kept.csv").read_bytes()
    said = by_hand(project, size=7)
    assert project.contents() == before
    assert (project.build / "embedded" / "figures" / "09_kept.csv").read_bytes() == kept
    folder = folder_of(project, "embedded-size=7-")
    assert "Other parameters than profile embedded's (size)" in said and folder.name in said
    assert (folder / "ran").exists() and (folder / "figures" / "09_kept.csv").exists()
    book = json.loads((folder / "figures" / "embedded" / "09_ledger.json").read_text())
    assert book["claims"]["E6"]["value"] == 0.7
    sidecar = json.loads((folder / "figures" / "embedded" / "09_line.json").read_text())
    assert sidecar["changed"] == {"size": 7} and sidecar["caption"] == "Dots: 7 of them."
    assert sidecar["alt"] == "Dots, as said."
    code, text = project.run()
    assert (code, ran(text)) == (0, []) and project.ledger("09")["claims"]["E6"]["value"] == 0.3, text


def test_a_run_by_hand_with_the_profiles_parameters_writes_where_the_profiles_do_and_says_nothing(project):
    starting(project)
    assert "Other parameters" not in by_hand(project)
    sidecar = json.loads((project.figures / "embedded" / "09_line.json").read_text())
    assert "changed" not in sidecar and sidecar["caption"] == "Three small dots."
    assert project.ledger("09")["claims"]["E6"]["value"] == 0.3


def test_the_same_kernel_goes_back_with_the_profiles_parameters(project, tmp_path):
    starting(project)
    code = "profile, seed, device, retrain, size, step = 'embedded', 0, 'cpu', False, 7, 1" + STARTING
    code += "assert 'size=7' in str(paths.figures()), paths.figures()\nsize = 3" + STARTING
    code += f"assert str(paths.figures()) == {str(project.figures)!r}, paths.figures()"
    environment = project.environment() | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert project.ledger("09")["claims"]["E6"]["value"] == 0.3


# --- captions of such runs


def test_captions_of_a_run_of_its_own_say_what_was_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_NOTEBOOKS", str(tmp_path))
    (tmp_path / "captions").mkdir()
    (tmp_path / "captions" / "09_tiny.yaml").write_text(
        "09_own:\n  caption: Two networks.\n  alt: A cat, seen by {networks}.\n"
        "  photos: {caption: 'Seven networks.'}\n"
        "  custom: {caption: 'Seen by {networks}: {credits}.', alt: 'Seen with {changed}.'}\n"
        "09_plain: {caption: 'Two networks.', alt: 'A cat and a cup.'}\n"
        "09_wrong: {caption: 'Two networks.', alt: 'A cat.', custom: 'Other networks.'}\n"
    )
    networks = ["/x/y/mine.yaml", "torchvision:resnet18", "googlenet"]
    facts = {"networks": networks, "window": 8, "credits": "Cat: A. Author, CC0/BY"}

    def of(name, changed=None, profile="embedded"):
        return captions.of(name, "09_tiny", facts, profile, changed)

    assert of("09_own")[0] == "Two networks." and of("09_own", profile="photos")[0] == "Seven networks."
    own = of("09_own", {"networks": networks, "window": 8}, "photos")
    assert own == (
        "Seen by mine, torchvision:resnet18 and googlenet: Cat: A. Author, CC0/BY.",
        "Seen with networks = mine, torchvision:resnet18 and googlenet, window = 8.",
    )
    note = "(Here with window = 8; the text is that of the profile's own parameters.)"
    owed = "Photographs: Cat: A. Author, CC0/BY."
    assert of("09_plain", {"window": 8}) == (f"Two networks. {note} {owed}", f"A cat and a cup. {note}")
    with pytest.raises(ValueError, match="expected its caption and its alt text"):
        of("09_wrong", {"window": 8})
