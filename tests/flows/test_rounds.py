"""What about a system needs a person, though no record says so; and what is no alarm."""

from __future__ import annotations

from pathlib import Path

import pytest
from house import ENV, House, house

from core.config import load_config
from core.errors import ConfigError


async def calls_during(h: House, system: str, seconds: float) -> int:
    before = len(h.wires[system].sent)
    await h.settle(seconds)
    return len(h.wires[system].sent) - before


# ------------------------------------------------------------------ logins


async def test_h28_a_refused_login_pauses_one_system_says_so_once_and_heals(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=40)
        h.faults("books", status=401)
        orders = [await h.shop.place_order("TEA") for _ in range(12)]
        await h.settle(60)
        await h.rounds()
        assert h.causes() == ["needs_login:books"]
        reason = h.one("SELECT reason FROM holds WHERE closed_at IS NULL")
        assert "systems.books.secrets.api_key" in reason
        assert await calls_during(h, "books", 3600) <= 14  # one call now and then, not one each
        for asked in h.asked():
            await h.depot.ship(asked["reference"])
        await h.settle(120)
        assert {h.state("shop", order) for order in orders} == {"shipped"}  # nobody else waits
        h.faults("books")
        await h.settle(1200)
        await h.rounds()
        assert h.causes() == []
        assert {row["state"] for row in h.commands()} == {"done"}
        assert h.books.duplicates() == []


async def test_after_a_restart_with_a_new_credential_nobody_waits_for_the_old_pause(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.faults("depot", status=401)
        await h.settle(120)
        h.faults("depot")
        await h.restart()
        h.depot.count("TEA", "EAST", 2)
        await h.settle(1)
        assert h.shop.shown("TEA") == 2


async def test_a_login_that_ends_is_said_two_weeks_before(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        text = (h.folder / "config.yaml").read_text()
        ends = '    secrets: {api_key: "${BOOKS}"}\n    login_ends: 2026-12-31\n'
        (h.folder / "config.yaml").write_text(
            text.replace('    secrets: {api_key: "${BOOKS}"}\n', ends)
        )
        await h.restart()
        await h.rounds()
        assert h.causes() == []
        h.clock.advance(24 * 86_400)  # it is the nineteenth of December
        await h.rounds()
        assert h.causes() == ["login_ends:books"]
        reason = h.one("SELECT reason FROM holds WHERE closed_at IS NULL")
        assert reason == "the login of books ends in 12 days, on 2027-01-01"
        h.clock.advance(86_400)
        await h.rounds()
        reason = h.one("SELECT reason FROM holds WHERE closed_at IS NULL")
        assert reason.startswith("the login of books ends in 11 days")
        (h.folder / "config.yaml").write_text(text)
        await h.restart()
        await h.rounds()
        assert h.causes() == []


@pytest.mark.parametrize("day", ["31.12.2026", "soon", "2026-02-30"])
async def test_a_day_that_is_none_is_refused_with_its_line(tmp_path: Path, day: str) -> None:
    async with house(tmp_path) as h:
        text = (h.folder / "config.yaml").read_text()
        key = '    secrets: {api_key: "${BOOKS}"}\n'
        (h.folder / "config.yaml").write_text(text.replace(key, f"{key}    login_ends: {day}\n"))
        with pytest.raises(ConfigError, match=r"config.yaml:\d+.*login_ends is .* not a day like"):
            load_config(h.folder / "config.yaml", ENV, [h.folder / "connectors"])
