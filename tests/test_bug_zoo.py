"""The zoo's mistakes are mistakes, its repairs repair, its healthy scripts learn; and what diagnose finds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ddl import bug_zoo
from ddl.bug_zoo import score

FOLDER = Path(bug_zoo.__file__).parent
PLANTED = bug_zoo.BUGS + bug_zoo.APART
HEALTHY = bug_zoo.HEALTHY + bug_zoo.HEALTHY_APART


def with_kind(*kinds):
    """Ask for the planted scripts of these kinds."""
    return pytest.mark.parametrize(
        "bug", [bug for bug in PLANTED if bug.kind in kinds], ids=lambda bug: bug.name
    )


@pytest.mark.parametrize("folder", ["planted", "healthy"])
def test_every_script_is_in_the_catalogue_once(folder):
    listed = [script.name for script in (PLANTED if folder == "planted" else HEALTHY)]
    assert sorted(listed) == sorted(path.stem for path in (FOLDER / folder).glob("*.py"))


@with_kind("trains worse", "flatters", "underrates", "fails", "not reproducible")
def test_a_repair_changes_one_place_in_a_few_lines(bug):
    assert bug_zoo.source(bug).count(bug.old) == 1
    assert max(bug.old.count("\n"), bug.new.count("\n")) <= 5
    assert bug.accepted


@with_kind("trains worse", "flatters", "underrates")
def test_a_repair_changes_what_the_script_measures(bug):
    planted = bug_zoo.run(bug).score()
    repaired = bug_zoo.run(bug, repaired=True).score()
    assert math.isfinite(repaired)
    if bug.change is None:
        assert not math.isfinite(planted)
        assert bug.kind == "trains worse"
    else:
        assert (repaired - planted) * math.copysign(1, bug.change) >= abs(bug.change), (planted, repaired)


@with_kind("fails")
def test_a_repair_lets_a_script_run_that_fails(bug):
    with pytest.raises(Exception, match=bug.error):
        bug_zoo.run(bug).score()
    assert math.isfinite(bug_zoo.run(bug, repaired=True).score())


@with_kind("not reproducible")
def test_a_repair_makes_runs_equal(bug):
    def two_runs(*, repaired):
        names = bug_zoo.run(bug, repaired=repaired).names
        return [names["build"]().state_dict() for _ in range(2)]

    def equal(first, second):
        return all(bool((first[name] == second[name]).all()) for name in first)

    assert not equal(*two_runs(repaired=False))
    assert equal(*two_runs(repaired=True))


@pytest.mark.parametrize("script", HEALTHY, ids=lambda script: script.name)
def test_a_healthy_script_learns(script):
    score = bug_zoo.run(script).score()
    assert (script.at_least is None) != (script.at_most is None)
    assert score >= script.at_least if script.at_most is None else score <= script.at_most, score


# What diagnose finds


@pytest.fixture(scope="module")
def diagnoses():
    return list(score.all_diagnoses())


@pytest.mark.parametrize(
    ("bugs", "share"), [(bug_zoo.BUGS, 0.9), (bug_zoo.APART, 0.85)], ids=["all", "apart"]
)
def test_most_mistakes_are_named_first_or_second(bugs, share, diagnoses):
    planted = [each for each in diagnoses if each.script in bugs and not each.repaired]
    assert len(planted) == len(bugs)
    assert sum(each.found for each in planted) >= share * len(planted), score.table(diagnoses)


def test_nothing_healthy_is_given_an_error(diagnoses):
    sound = [each for each in diagnoses if each.script in HEALTHY or each.repaired]
    assert len(sound) == len(HEALTHY + bug_zoo.BUGS)
    assert not any(each.errors for each in sound), score.table(diagnoses)


def test_a_mistake_counts_as_found_in_the_first_two_places_only():
    bug = next(bug for bug in bug_zoo.BUGS if len(bug.accepted) == 2)
    for name in bug.accepted:
        for place, found in enumerate((True, True, False)):
            names = ["not-seeded", "class-imbalance", "batch-of-one"]
            names[place] = name
            assert score.Diagnosis(bug, False, tuple(names), (), 0.1).found == found


def test_the_table_marks_what_was_found_and_what_was_accused():
    bug, script = bug_zoo.BUGS[0], bug_zoo.HEALTHY[0]
    name = min(bug.accepted)
    text = score.table(
        [
            score.Diagnosis(bug, False, ("not-seeded", name, "detached"), (name,), 0.25),
            score.Diagnosis(bug, True, (), (), 0.5),
            score.Diagnosis(script, False, (name,), (name,), 0.75),
        ]
    )
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:4] == [
        "planted: named first or second 1 of 1",
        "planted, kept apart: named first or second 0 of 0",
        "repaired: with an error 0 of 1",
        "healthy: with an error 1 of 1",
    ]
    assert f"✓ {bug.name} {name} not-seeded, {name} 0.25" in lines
    assert f"✓ {bug.name} 0.50" in lines
    assert f"✗ {script.name} {name} {name} 0.75" in lines
