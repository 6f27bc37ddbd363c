"""The rules decide as their examples say, wrong rules are found out, and the ledger keeps what was measured."""

import copy
import json
from collections import namedtuple

import numpy as np
import pytest
import yaml

from lib.base import paths
from lib.record import claims, ledger

Run = namedtuple("Run", "notebook profile parameters seed device")
CLAIMS = claims.load()
PARTS = {name: part for claim in CLAIMS.values() for name, part in claim["parts"].items()}
CASES = [(name, wanted) for name, part in PARTS.items() for wanted in part["examples"]]
SWAP = {"reproduced": "not reproduced", "not reproduced": "reproduced", "inconclusive": "inconclusive"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path / "build"))
    return Run("09_occlusion", "embedded", {"seed": 0}, 0, "cpu")


def decide(part: dict, example: dict, **changes) -> str:
    rest = {key: example.get(key) for key in ("value", "interval", "null", "named")}
    seeds = [{"seed": seed, **example} for seed in range(part["seeds"])]
    return claims.verdict(part, **(rest | {"seeds": seeds} | changes))


def e5(**changes):
    area = {"area": (0.1, 0.05, 0.15)}
    seeds = [{"seed": s, "value": 0.4, "interval": (0.3, 0.5)} for s in range(3)]
    given = {"value": 0.4, "interval": (0.35, 0.45), "null": (-0.05, 0.05), "named": area, "seeds": seeds}
    return given | changes


# -------------------------------------------------------------------------------------------------------- the rules


def test_claims_are_numbered_in_groups_without_a_gap():
    groups = {}
    for name in CLAIMS:
        groups.setdefault(name[0], []).append(int(name[1:]))
    assert set(groups) >= set("CDGE")  # other letters are those of other works
    assert [name for name, found in groups.items() if found != list(range(1, len(found) + 1))] == []
    papers = {f"{letter}{k}" for letter, n in (("C", 10), ("D", 5), ("G", 10), ("E", 15)) for k in range(1, n + 1)}
    assert papers <= set(CLAIMS) and {"C4a", "C4b", "E10a", "E10b"} <= set(PARTS)


@pytest.mark.parametrize("name, wanted", CASES)
def test_every_rule_gives_each_verdict_where_its_author_expected_it(name, wanted):
    assert decide(PARTS[name], PARTS[name]["examples"][wanted]) == wanted


@pytest.mark.parametrize("name", PARTS)
def test_every_rule_has_an_example_a_verdict_and_a_wrong_rule_fails_one(name):
    part = PARTS[name]
    assert set(part["examples"]) == set(claims.VERDICTS)
    wrong = copy.deepcopy(part)
    wrong["rule"] = {"reproduced": part["rule"]["not_reproduced"], "not_reproduced": part["rule"]["reproduced"]}
    for wanted, example in part["examples"].items():
        assert decide(wrong, example) == SWAP[wanted]


LOOSER = {"low_above": -9.0, "high_below": 9.0, "inside": [-9, 9], "outside": [5, 5], "value_at_least": -9.0}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("side", ["reproduced", "not_reproduced"])
def test_a_rule_made_looser_fails_an_example(name, side):
    """Without any bound on one side every result is that verdict (or the rule contradicts itself)."""
    wrong, failed = copy.deepcopy(PARTS[name]), 0
    wrong["rule"][side] = {key: LOOSER[key] for key in wrong["rule"][side] if key in LOOSER}
    for wanted, example in PARTS[name]["examples"].items():
        try:
            failed += decide(wrong, example) != wanted
        except ValueError as error:
            failed += "contradicts itself" in str(error)
    assert failed


def edges(part: dict) -> list[float]:
    """The numbers in a rule, and with them every place where its verdict can change."""
    found = [0.0, 0.2]
    for side in part["rule"].values():
        for bound in side.values():
            found += [x for x in np.ravel(bound) if isinstance(x, (int, float))] if not isinstance(bound, dict) else []
    return sorted(set(found))


@pytest.mark.parametrize("name", PARTS)
def test_no_interval_is_both_reproduced_and_not(name):
    part, generator, seen = PARTS[name] | {"seeds": 0}, np.random.default_rng(0), set()
    for _ in range(400):
        points = sorted(generator.choice(edges(part)) + generator.choice([-0.02, 0, 0.02, 0.3, -0.3]) for _ in range(3))
        example = {"value": points[1], "interval": (points[0], points[2]), "null": (-0.1, 0.2)}
        example["named"] = {"area": (0.1, generator.choice([-0.05, 0.05]), 0.15)}
        seen.add(decide(part, example))  # raises ValueError if the rule contradicts itself
    assert "inconclusive" in seen and len(seen) > 1


INSIDE = {
    name: part["rule"]["reproduced"]["inside"] for name, part in PARTS.items() if "inside" in part["rule"]["reproduced"]
}
ABSENT = [name for name, (low, high) in INSIDE.items() if low < 0 < high]


@pytest.mark.parametrize("name", INSIDE)
def test_a_claim_of_absence_needs_a_narrow_interval(name):
    low, high = INSIDE[name]
    wide = {"value": (low + high) / 2, "interval": (low - 0.001, high)}
    assert decide(PARTS[name], wide) == "inconclusive"  # finding nothing is not finding that there is nothing


def test_absence_is_what_the_design_calls_absence():
    assert set(ABSENT) >= {"C5a", "C5b", "G9", "E10b"}


def test_every_condition_reads_the_edge_of_the_interval_that_it_names():
    def holds(low, high, value=0.3, null=None, **rule):
        rule = {"seeds": 0, "rule": {"reproduced": rule, "not_reproduced": {"low_above": 99.0}}}
        return claims.verdict(rule, value, (low, high), null) == "reproduced"

    assert holds(0.21, 0.4, low_above=0.2) and not holds(0.19, 0.4, low_above=0.2)
    assert holds(0.2, 0.39, high_below=0.4) and not holds(0.2, 0.41, high_below=0.4)
    assert holds(0.2, 0.4, inside=(0.2, 0.4)) and not holds(0.19, 0.4, inside=(0.2, 0.4))
    assert not holds(0.2, 0.41, inside=(0.2, 0.4))
    assert holds(0.2, 0.4, outside=(-0.1, 0.1)) and not holds(0.09, 0.4, outside=(-0.1, 0.1))
    assert holds(0.2, 0.4, outside=(0.5, 0.6)) and not holds(0.2, 0.51, outside=(0.5, 0.6))
    assert holds(0.2, 0.4, excludes=0.0) and not holds(-0.1, 0.4, excludes=0.0)
    assert holds(0.2, 0.4, value_at_least=0.3) and not holds(0.2, 0.4, value_at_least=0.31)
    assert holds(0.2, 0.4, value_outside=(-0.2, 0.2)) and not holds(0.2, 0.4, value_outside=(-0.3, 0.3))
    assert holds(0.2, 0.4, null=(0.0, 0.1), above_null=True) and not holds(0.1, 0.4, null=(0.0, 0.1), above_null=True)
    assert holds(0.2, 0.4, null=(0, 0.4), not_above_null=True) and not holds(
        0.2, 0.4, null=(0, 0.3), not_above_null=True
    )


def test_bounds_are_strict():
    part = PARTS["C2b"]
    assert decide(part, {"value": 0.01, "interval": (0.0, 0.02)}) == "inconclusive"
    assert decide(part, {"value": 0.01, "interval": (1e-6, 0.02)}) == "reproduced"


# ----------------------------------------------------------------------- E5, E6, E10: the rules of notebook 09


def test_e5_asks_for_all_of_its_conditions():
    assert claims.verdict("E5", **e5()) == "reproduced"
    tiny = [{"seed": s, "value": 0.05, "interval": (0.01, 0.12)} for s in range(3)]
    for change in (
        {"value": 0.05, "interval": (0.01, 0.12), "seeds": tiny},  # too small to matter
        {"interval": (-0.01, 0.45)},  # chance is not excluded
        {"null": (-0.5, 0.36)},  # the null reaches further
        {"named": {"area": (0.1, -0.01, 0.2)}},  # the areas do not differ
    ):
        assert claims.verdict("E5", **e5(**change)) == "inconclusive"
    with pytest.raises(ValueError, match="needs 'area'"):
        claims.verdict("E5", **e5(named=None))
    with pytest.raises(ValueError, match="pass null="):
        claims.verdict("E5", **e5(null=None))


def test_one_seed_that_disagrees_makes_it_inconclusive_and_so_do_too_few():
    seeds = e5()["seeds"]
    assert claims.verdict("E5", **e5(seeds=seeds[:2])) == "inconclusive"
    off = [*seeds[:2], {"seed": 2, "value": 0.3, "interval": (-0.1, 0.5)}]
    assert claims.verdict("E5", **e5(seeds=off)) == "inconclusive"
    own_null = [*seeds[:2], seeds[2] | {"null": (-0.4, 0.4)}]
    assert claims.verdict("E5", **e5(seeds=own_null)) == "inconclusive"
    against = [{"seed": s, "value": 0.0, "interval": (-0.05, 0.05)} for s in range(3)]
    assert claims.verdict("E5", **e5(value=0.0, interval=(-0.05, 0.05), seeds=against)) == "not reproduced"


def test_e10_wants_a_difference_in_the_middle_and_none_at_the_top():
    same = {"value": 0.035, "interval": (0.025, 0.045)}  # the paper's middle layer: .107 against about .072
    none = {"value": 0.004, "interval": (-0.01, 0.018)}  # its top layer: .073 against .069
    assert decide(PARTS["E10a"], same) == "reproduced" and decide(PARTS["E10b"], same) == "not reproduced"
    assert decide(PARTS["E10a"], none) == "not reproduced" and decide(PARTS["E10b"], none) == "reproduced"
    assert PARTS["E10a"]["rule"]["reproduced"]["value_at_least"] == PARTS["E10b"]["rule"]["reproduced"]["inside"][1]


def test_several_nulls_must_all_be_exceeded():
    nulls = {"one": (0.0, 0.1), "two": (0.0, 0.3)}
    seeds = [{"seed": s, "value": 0.25, "interval": (0.2, 0.28)} for s in range(3)]
    assert claims.verdict("C4a", 0.25, (0.2, 0.28), null={"one": (0.0, 0.1)}, seeds=seeds) == "reproduced"
    assert claims.verdict("C4a", 0.25, (0.2, 0.28), null=nulls, seeds=seeds) == "inconclusive"


def test_a_claim_of_several_parts_is_their_conjunction():
    assert claims.together(["reproduced", "reproduced"]) == "reproduced"
    assert claims.together(["reproduced", "inconclusive"]) == "inconclusive"
    assert claims.together(["inconclusive", "not reproduced"]) == "not reproduced"


# --------------------------------------------------------------------------------------------------------- the file


def test_claims_belong_to_the_notebooks_that_the_index_gives_them():
    index = yaml.safe_load((paths.ROOT / "notebooks/index.yaml").read_text())
    listed = {claim: name for name, entry in index.items() for claim in entry.get("claims", [])}
    assert {name: claim["notebook"] for name, claim in CLAIMS.items()} == listed


def test_no_key_of_the_file_is_lost_to_yaml():
    def keys(value):
        if isinstance(value, dict):
            for key, item in value.items():
                yield key
                yield from keys(item)

    raw = yaml.safe_load((paths.ROOT / "data/claims.yaml").read_text())
    assert all(isinstance(key, str) for key in keys(raw))  # a bare `null:` would be None


@pytest.mark.parametrize(
    "change, sentence",
    [(("low_above: 0.0", "low_abve: 0.0"), "claim E6, .*low_abve: Extra inputs")]
    + [(("seeds: 3", "seeds: -1"), "claim E6, .*seeds"), (('  "null":', "  null:"), "claim E6")]
    + [(("low_above: 0.0", "low_above: .nan"), "claim E6"), (("unit: image", "unit: [image"), "YAML")]
    + [(("  seeds: 3\n", ""), "claim E6, seeds is missing; found statistic, unit, agree")]
    + [(("  place: Section", "  plaice: Section"), "claim E6, place is missing; found .*plaice")],
)
def test_a_broken_file_is_refused_with_a_sentence(tmp_path, change, sentence):
    text = (paths.ROOT / "data/claims.yaml").read_text()
    one = text[text.index("\nE6:") : text.index("\nE7:")]
    assert change[0] in one
    (tmp_path / "claims.yaml").write_text(one.replace(*change, 1))
    with pytest.raises(ValueError, match=sentence):
        claims.load(tmp_path / "claims.yaml")


@pytest.mark.parametrize("name, sentence", [("E99", "nearest known one is 'E9"), ("e5", "nearest known one is 'E5'")])
def test_an_unknown_claim_gets_the_nearest_known_one(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        claims.part(name)


def test_a_claim_with_parts_is_recorded_by_them():
    with pytest.raises(ValueError, match="by its parts: E10a, E10b"):
        claims.part("E10")


# -------------------------------------------------------------------------------------------------------- the ledger


def test_record_keeps_a_row_and_a_second_call_replaces_it(run):
    claims.record("E5", **e5(), run=run, n=128, note="windows of 12")
    first = ledger.path_of(run.notebook, "embedded").read_bytes()
    claims.record("E5", **e5(), run=run, n=128, note="windows of 12")
    assert ledger.path_of(run.notebook, "embedded").read_bytes() == first
    row = ledger.recorded("embedded")["E5"]
    assert row["verdict"] == "reproduced" and row["interval"] == [0.35, 0.45] and row["n"] == 128
    claims.record("E5", **e5(value=0.41), run=run)
    rows = ledger.read("09_occlusion", "embedded")["claims"]
    assert list(rows) == ["E5"] and rows["E5"]["value"] == 0.41
    assert claims.missing("09_occlusion", "embedded") == ["E6", "E10a", "E10b"]


def test_rows_of_claims_and_figures_stand_side_by_side(run):
    ledger.enter(run, "figures", "09_line", {"alt": "a"})
    claims.record("E6", 0.3, (0.2, 0.4), run=run)
    claims.record("E10a", 0.3, (0.2, 0.4), run=run)
    ledger.enter(run, "figures", "09_other", {"alt": "b"})
    kept = ledger.read("09_occlusion", "embedded")
    assert set(kept["claims"]) == {"E6", "E10a"} and set(kept["figures"]) == {"09_line", "09_other"}


def test_the_ledger_is_sorted_and_rounded(run):
    value = np.float64(1) / 3
    claims.record(
        "E6", value, (np.float32(0.25), 0.5), run=run, seeds=[{"seed": 0, "value": value, "interval": (0.25, 0.5)}]
    )
    text = ledger.path_of(run.notebook, "embedded").read_text()
    book = json.loads(text)
    assert text == json.dumps(book, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert book["claims"]["E6"]["value"] == 0.333333 and book["rounding"] == "six significant digits"
    assert "1 of 3 seeds" in book["claims"]["E6"]["note"] and book["claims"]["E6"]["verdict"] == "inconclusive"


def test_the_verdict_is_that_of_the_numbers_kept(run):
    """A reader who judges the ledger's rounded numbers gets the ledger's verdict."""
    seeds = [{"seed": s, "value": 0.2, "interval": (1e-9, 0.5)} for s in range(3)]
    row = claims.record("E6", 0.1 - 1e-9, (0.02, 0.5), run=run, seeds=seeds).row
    kept = ledger.recorded("embedded")["E6"]
    again = claims.verdict("E6", *(kept[key] for key in ("value", "interval", "null", "named", "seeds")))
    assert row["value"] == 0.1 and kept["verdict"] == again == "reproduced"


def test_absence_that_stays_open_prints_what_could_be_detected(run):
    seeds = [{"seed": s, "value": 0.0, "interval": (-0.05, 0.05)} for s in range(3)]
    row = claims.record("E10b", 0.0, (-0.05, 0.05), run=run, seeds=seeds)
    assert row.row["detectable"] == 0.05 and "smallest detectable effect 0.050" in row._repr_html_()


@pytest.mark.parametrize(
    "change, sentence",
    [({"value": float("nan")}, "E5 is nan"), ({"interval": (0.1, float("inf"))}, "E5, interval is inf")]
    + [({"interval": (0.45, 0.5)}, "round the value 0.4"), ({"interval": 0.4}, "expected an interval")]
    + [({"null": (float("nan"), 0)}, "null is nan"), ({"named": {"area": (1, 2, 3)}}, "named area.*round the value 1")]
    + [({"named": {"area": 3.0}}, "expected .value, low, high."), ({"value": object()}, "is a object")]
    + [({"seeds": [{"seed": 0, "value": 1.0}]}, "expected {seed, value, interval}")]
    + [({"seeds": [{"seed": 0, "value": 1.0, "interval": (0, 2)}] * 3}, "same seed appears twice")],
)
def test_record_refuses_with_a_sentence_and_writes_nothing(run, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        claims.record("E5", **e5(**change), run=run)
    assert not ledger.path_of(run.notebook, "embedded").exists()


def test_a_claim_is_recorded_by_its_own_notebook(run):
    with pytest.raises(ValueError, match="E7 belongs to notebook 10_saliency_and_deconv, and this is 09_occlusion"):
        claims.record("E7", 0.0, (0.0, 0.0), run=run)


def test_a_damaged_ledger_is_named(run):
    path = ledger.path_of(run.notebook, "embedded")
    path.parent.mkdir(parents=True)
    path.write_text('{"claims": {')
    with pytest.raises(ValueError, match="09_ledger.json is not a ledger"):
        claims.record("E5", **e5(), run=run)


def test_the_row_shows_its_seeds_and_escapes_its_text(run):
    row = claims.record("E5", **e5(), run=run, note="p < 0.01 & more")
    text, html = repr(row), row._repr_html_()
    assert "REPRODUCED" in text and "seed 2" in text and "0.400 [0.350, 0.450]" in text and "area" in text
    assert "p &lt; 0.01 &amp; more" in html and html.count("<tr>") == 7  # head, row, three seeds, area, units
    assert max(map(len, text.splitlines())) < 200


# ------------------------------------------------------------------------------------------------------- what moved


def book(**rows):
    return {"claims": rows, "figures": {}}


def row(value, verdict="reproduced", **more):
    return {"value": value, "interval": [value - 0.1, value + 0.1], "verdict": verdict, "note": "", **more}


def test_compare_names_every_number_beyond_the_tolerance_and_no_other():
    old, new = book(E5=row(0.4), E6=row(0.3)), book(E5=row(0.405), E6=row(0.32))
    assert [move.where for move in claims.compare(old, new)] == ["E6.interval.0", "E6.interval.1", "E6.value"]
    assert "E6.value: 0.3 before, 0.32 now" in map(str, claims.compare(old, new))
    assert claims.compare(old, new, tolerance=0.05) == [] and claims.compare(old, old) == []
    assert len(claims.compare(old, new, tolerance=0.001)) == 6


def test_compare_uses_each_claims_own_tolerance():
    assert PARTS["D4"]["tolerance"] < PARTS["E5"]["tolerance"]
    moves = claims.compare(book(D4=row(0.9), E5=row(0.9)), book(D4=row(0.905), E5=row(0.905)))
    assert {move.where.split(".")[0] for move in moves} == {"D4"}


def test_compare_never_overlooks_a_verdict_or_a_row():
    moves = claims.compare(book(E5=row(0.4)), book(E5=row(0.4, "inconclusive")))
    assert [(m.where, m.before, m.after) for m in moves] == [("E5.verdict", "reproduced", "inconclusive")]
    longer = claims.compare(book(E5=row(0.4)), book(E5=row(0.4, detectable=0.1)))
    assert [(m.where, m.before, m.after) for m in longer] == [("E5.detectable", None, 0.1)]
    gone = claims.compare(book(E5=row(0.4), E6=row(0.3)), book(E5=row(0.4)))
    assert gone and all(move.where.startswith("E6") and move.after is None for move in gone)


def test_compare_is_relative_beyond_one():
    assert claims.compare(book(E5=row(200.0)), book(E5=row(201.0))) == []
    assert claims.compare(book(E5=row(200.0)), book(E5=row(203.0)))


def test_a_claim_written_twice_is_refused(tmp_path):
    text = (paths.ROOT / "data/claims.yaml").read_text()
    (tmp_path / "claims.yaml").write_text(text + "\nC1: {}\n")
    with pytest.raises(ValueError, match="claims.yaml is not valid YAML: 'C1' is given twice"):
        claims.load(tmp_path / "claims.yaml")
