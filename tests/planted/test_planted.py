"""Every harness is proven by bugs that it must catch; and the court that says so, by its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.planted import court
from tests.planted.bugs import BUGS, LIVES, RECONCILING, Bug
from tests.planted.court import Said

pytestmark = pytest.mark.whole
#: The quick one that the court itself is tried with.
QUICK = Bug(
    name="a deficit in one place takes from another",
    file="core/ledger.py",
    old="    return sum(max(0, units) for units in sellable)\n",
    new="    return sum(units for units in sellable)\n",
    harness="tests/unit/test_ledger.py::test_a_deficit_in_one_place_takes_nothing_from_another",
    says="assert",
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return court.copy_program(tmp_path_factory.mktemp("planted"))


#: These take ten seconds each: one such bug every day, the others in `make soak`.
LATER = [
    bug
    for harness in (LIVES, RECONCILING)
    for bug in [bug for bug in BUGS if bug.harness == harness][1:]
]


@pytest.mark.parametrize(
    "bug",
    [
        pytest.param(bug, id=bug.name, marks=[pytest.mark.long] if bug in LATER else [])
        for bug in BUGS
    ],
)
def test_a_planted_bug_is_convicted(copy: Path, bug: Bug) -> None:
    doubt, said = court.convict(copy, bug)
    assert doubt == "", said.out


@pytest.mark.long  # every day these tests pass where they stand
@pytest.mark.parametrize("examples", sorted({bug.examples for bug in BUGS}))
def test_without_a_bug_the_same_copy_passes(copy: Path, examples: int) -> None:
    harnesses = sorted({bug.harness for bug in BUGS if bug.examples == examples})
    said = court.run(copy, harnesses, examples=examples)
    assert court.acquits(copy, said) == "", said.out


def test_no_two_bugs_are_the_same_and_each_changes_something() -> None:
    changes = {(bug.file, bug.old, bug.new) for bug in BUGS}
    assert len({bug.name for bug in BUGS}) == len(changes) == len(BUGS)
    assert all(bug.old != bug.new for bug in BUGS)


# ------------------------------------------------------------------ the court itself


@pytest.mark.parametrize(
    ("changed", "doubt"),
    [
        ({}, ""),
        ({"new": "    return sum(max(units, 0) for units in sellable)\n"}, "the harness passes"),
        ({"new": "    return )\n"}, "pytest ended with 4: nothing was tested"),
        ({"harness": f"{QUICK.harness}_again"}, "pytest ended with 4: nothing was tested"),
        ({"says": "the moon"}, "it fails for another reason: 'the moon' is not said"),
    ],
    ids=["a bug", "no bug", "a slip", "no harness", "another reason"],
)
def test_only_a_failure_by_name_and_for_its_reason_is_a_conviction(
    copy: Path, changed: dict[str, str], doubt: str
) -> None:
    assert court.convict(copy, replace(QUICK, **changed))[0] == doubt
    assert (copy / QUICK.file).read_text() == (court.ROOT / QUICK.file).read_text()


@pytest.mark.parametrize(
    ("code", "out", "doubt"),
    [
        (5, "", "pytest ended with 5: nothing was tested"),
        (1, f"ERROR {QUICK.harness}\n", f"errors, not failures: ['{QUICK.harness}']"),
        (1, "FAILED tests/a.py::b\n", f"['tests/a.py::b'] failed, not {QUICK.harness}"),
        (1, f"FAILED {QUICK.harness}\nassert\ntested: /else\n", "tested was ['/else'], not /copy"),
        (1, f"FAILED {QUICK.harness}\nassert\n", "tested was [], not /copy"),
        (1, f"FAILED {QUICK.harness}\nassert\ntested: /copy\n", ""),
    ],
)
def test_what_pytest_says_is_weighed(code: int, out: str, doubt: str) -> None:
    said = Said(code=code, out=out, seconds=0)
    assert court.doubts(Path("/copy"), QUICK, said) == doubt


def test_a_patch_that_does_not_apply_is_no_conviction(copy: Path) -> None:
    for old in ("no such text", "return"):
        with pytest.raises(court.DoesNotApply, match="not once"):
            court.convict(copy, replace(QUICK, old=old))
