"""The disk that power losses are tried on: what it may lose, and what it never may."""

from __future__ import annotations

from tests.power.images import SECTOR, images
from tests.power.recorder import Op

A, B, C = (letter * SECTOR for letter in (b"a", b"b", b"c"))
STATE, LOG = "state", "log"


def after(ops: list[Op], *, seed: int = 1, count: int = 400) -> set[tuple[tuple[str, bytes], ...]]:
    """Every disk that may be left when the power goes after the last of these."""
    found = images([*ops, *[Op("ack", about="x")] * 10_000], [STATE], count=count, seed=seed)
    return {tuple(sorted(one.files.items())) for one in found if one.acknowledged}


def states(ops: list[Op]) -> set[bytes]:
    return {dict(disk).get(STATE, b"") for disk in after(ops)}


def test_what_was_synced_is_there() -> None:
    ops = [Op("write", STATE, 0, A + B), Op("sync", STATE)]
    assert states(ops) == {A + B}


def test_what_was_not_synced_is_there_in_any_part_cut_at_a_sector() -> None:
    ops = [Op("write", STATE, 0, A + A), Op("sync", STATE), Op("write", STATE, 0, B + C)]
    assert states(ops) == {A + A, B + A, A + C, B + C}


def test_a_later_write_may_be_there_without_an_earlier_one() -> None:
    ops = [Op("write", STATE, 0, A), Op("write", STATE, SECTOR, B)]
    hole = bytes(SECTOR)
    assert states(ops) == {b"", A, hole + B, A + B}


def test_a_sync_is_of_its_own_file_only_and_of_every_name() -> None:
    ops = [
        Op("create", LOG),
        Op("write", LOG, 0, A),
        Op("write", STATE, 0, B),
        Op("sync", STATE),
    ]
    assert after(ops) == {((LOG, b""), (STATE, B)), ((LOG, A), (STATE, B))}


def test_a_new_name_and_a_deletion_may_be_either_way_until_something_is_synced() -> None:
    made = [Op("write", STATE, 0, B), Op("sync", STATE), Op("create", LOG)]
    assert after(made) == {((STATE, B),), ((LOG, b""), (STATE, B))}
    gone = [Op("create", LOG), Op("write", LOG, 0, A), Op("sync", LOG), Op("delete", LOG)]
    assert after(gone) == {((STATE, b""),), ((LOG, A), (STATE, b""))}
    assert after([*gone, Op("sync", STATE)]) == {((STATE, b""),)}


def test_a_truncation_may_be_lost_too() -> None:
    ops = [Op("write", STATE, 0, A + B), Op("sync", STATE), Op("truncate", STATE, SECTOR)]
    assert states(ops) == {A + B, A}


def test_only_who_was_told_before_the_cut_is_acknowledged() -> None:
    ops = [Op("ack", about="one"), Op("write", STATE, 0, A), Op("ack", about="two")]
    said = {(one.cut, one.acknowledged) for one in images(ops, [STATE], count=60, seed=1)}
    assert said == {
        (0, frozenset()),
        (1, frozenset({"one"})),
        (2, frozenset({"one"})),
        (3, frozenset({"one", "two"})),
    }
