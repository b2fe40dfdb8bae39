"""The zoo's mistakes are mistakes, its repairs repair, its healthy scripts learn; and what diagnose finds."""

from __future__ import annotations

import math
from pathlib import Path

import bug_zoo
import pytest

FOLDER = Path(bug_zoo.__file__).parent


def with_kind(*kinds):
    """Ask for the planted scripts of these kinds."""
    return pytest.mark.parametrize(
        "bug", [bug for bug in bug_zoo.BUGS if bug.kind in kinds], ids=lambda bug: bug.name
    )


@pytest.mark.parametrize("folder", ["planted", "healthy"])
def test_every_script_is_in_the_catalogue_once(folder):
    listed = [script.name for script in (bug_zoo.BUGS if folder == "planted" else bug_zoo.HEALTHY)]
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


@pytest.mark.parametrize("script", bug_zoo.HEALTHY, ids=lambda script: script.name)
def test_a_healthy_script_learns(script):
    score = bug_zoo.run(script).score()
    assert (script.at_least is None) != (script.at_most is None)
    assert score >= script.at_least if script.at_most is None else score <= script.at_most, score
