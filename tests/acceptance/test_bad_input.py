"""Everything a person can get wrong, said exactly: what, where, what now. And nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.config import load_config
from tests.acceptance.stage import SECRETS, Stage, until
from tests.example_environment import environment
from tests.flows.house import ROOT

pytestmark = pytest.mark.whole


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "stage", SECRETS)


def changed(stage: Stage, old: str, new: str) -> None:
    text = stage.config.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the configuration"
    stage.config.write_text(text.replace(old, new))


def line_of(stage: Stage, part: str) -> int:
    text = stage.config.read_text()
    return text[: text.index(part)].count("\n") + 1


# ------------------------------------------------------------------ YAML that means something else

TAG = 'level: !!python/object/apply:os.system ["touch {}"]'
TRICKS = [
    pytest.param(
        "currency: EUR}", "currency: NO}",
        'company.currency is "NO", not an ISO 4217 code like EUR', id="h35-NO-is-no-false",
    ),
    pytest.param(
        "log: {", "mappings: elsewhere\nlog: {",
        '"mappings" is already set in line 4\n  Remove one.', id="h35-duplicate-key",
    ),
    pytest.param(
        "{name: Acme", "&c {name: Acme",
        "&c is an anchor\n  Write the value out.", id="t8-anchor",
    ),
    pytest.param(
        "log: {", "console: *c\nlog: {",
        "*c is an alias\n  Write the value out.", id="t8-alias",
    ),
    pytest.param(
        "level: info", TAG,
        "tag:yaml.org,2002:python/object/apply:os.system is a tag\n"
        "  Quote the value if it begins with !.", id="t8-tag",
    ),
    pytest.param(
        "company:", "compny:",
        '"compny" is not an option\n  Did you mean "company"?', id="a-key-misspelled",
    ),
    pytest.param(
        "${DEPOT}", "${NOT_SET}",
        "systems.depot.secrets.api_token: the environment has no NOT_SET\n"
        "  Set NOT_SET, or use the same option with _file and a path.", id="t14-a-secret-missing",
    ),
    pytest.param(
        "${BOOKS}", "books-key-in-the-file",
        "systems.books.secrets.api_key", id="t14-a-secret-written-down",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), TRICKS)
def test_h35_check_names_file_line_and_what_to_write(
    stage: Stage, old: str, new: str, words: str
) -> None:
    touched = stage.folder / "touched"
    new = new.format(touched) if "{}" in new else new
    changed(stage, old, new)
    done = stage.cli("check")
    assert done.returncode == 2, done.stdout
    assert done.stdout == ""
    said = done.stderr.partition("truecount check: nothing was started or changed.\n\n")[2]
    assert f"{words}" in said
    marked = {
        int(line) for line in re.findall(rf"^{stage.config}:(\d+)(?::\d+)?  ", said, re.MULTILINE)
    }
    assert line_of(stage, new.partition("\n")[0]) in marked, said
    assert "books-key-in-the-file" not in said  # not even a wrong place for a secret shows it
    assert not touched.exists()


def test_h35_what_looks_like_a_number_or_a_boolean_stays_text(stage: Stage) -> None:
    changed(stage, "{depot: EAST, books: MAIN}", "{depot: 00123, books: NO}")
    assert stage.cli("check").returncode == 0
    config = load_config(stage.config, SECRETS)
    assert dict(config.locations["main"].at) == {"depot": "00123", "books": "NO"}


def test_the_example_configuration_is_accepted() -> None:
    example = ROOT / "config.example.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", "check", "--config", str(example)],
        env={"PATH": os.environ["PATH"], **environment(example)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{example} is fine" in done.stdout


def test_a_broken_mapping_is_refused_with_its_line(stage: Stage) -> None:
    path = stage.mappings / "generic_channel" / "order.yaml"
    path.write_text(path.read_text().replace("total | money", "total | mony"))
    done = stage.cli("check")
    assert done.returncode == 2
    before = path.read_text()[: path.read_text().index("mony")]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert f"{path}:{line}:{column}  total: " in done.stderr
    assert "money" in done.stderr.partition("mony")[2]  # the nearest right name


# ------------------------------------------------------------------ what the daemon finds at start


def test_a_port_in_use_is_named(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", stage.hooks)):
        done = stage.cli("run")
    assert done.returncode == 2, done.stderr
    assert f"{stage.config}:" in done.stderr
    assert str(stage.hooks) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_folder_that_cannot_be_written_is_named(stage: Stage) -> None:
    changed(stage, "state: state/truecount.db", "state: config.yaml/below/truecount.db")
    done = stage.cli("run")
    assert done.returncode == 2
    assert done.stderr.endswith(
        f"{stage.config}/below:1  the state folder cannot be written: Not a directory\n"
        "  Give it to the user Truecount runs as, or name another under `state:`.\n"
    )


def test_h31_a_second_daemon_on_the_same_state_is_told_who_holds_it(stage: Stage) -> None:
    with stage.systems(), stage.daemon() as first:
        done = stage.cli("run")
        assert done.returncode == 2
        assert (
            f"{stage.state}:1  the state folder is in use by process {first.pid} on "
            f"{socket.gethostname()}\n  Stop that one first; two daemons on one state would sell "
            "the same units twice.\n"
        ) in done.stderr
        assert stage.get("/readyz") == 200  # the first one did not notice
        first.send_signal(signal.SIGKILL)
        first.wait()
        with stage.daemon():  # a dead holder holds nothing
            pass


def test_wrong_credentials_are_named_by_the_doctor(stage: Stage) -> None:
    with stage.systems():
        fine = stage.cli("doctor", "--json")
        assert fine.returncode == 0, fine.stdout + fine.stderr
        done = stage.cli("doctor", DEPOT="a-token-of-yesterday")
        assert done.returncode == 3
        [bad] = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
        assert bad.startswith("BAD  depot (generic_wms): LoginNeeded: depot refuses ")
        assert "the token is wrong" in bad
        assert sum(line.startswith("ok ") for line in done.stdout.splitlines()) == 3
        assert "a-token-of-yesterday" not in done.stdout + done.stderr


# ------------------------------------------------------------------ something wrong in the main job


@pytest.fixture
def open_for_business(stage: Stage) -> Iterator[tuple[Stage, Any]]:
    with stage.systems() as remote:
        remote("depot", "receive", sku="TEA", place="EAST", quantity=10)
        remote("books", "set_item", sku="TEA", list_price="10.00", unit_cost="4.00")
        remote("shop", "list_item", sku="TEA", price="10.00")
        yield stage, remote


def sell(remote: Any, sku: str = "TEA", **facts: Any) -> dict[str, Any]:
    until(f"{sku} is offered", lambda: remote("shop", "shown", sku=sku) > 0)
    found: dict[str, Any] = remote("shop", "place_order", sku=sku, quantity=2, **facts)
    return found


def states(stage: Stage) -> dict[str, str]:
    return dict(stage.rows("SELECT kind, state FROM outbox ORDER BY id"))


def test_an_erp_that_is_down_at_the_start_delays_only_itself(
    open_for_business: tuple[Stage, Any],
) -> None:
    stage, remote = open_for_business
    remote.faults("books", down=True)
    with stage.daemon():
        sell(remote)
        until("the warehouse has it", lambda: remote("depot", "orders"))
        until("it is recorded", lambda: states(stage).get("fulfill_order") == "done")
        # It may be looked at in the middle of a try.
        assert states(stage)["book_order"] in ("queued", "sending", "waiting", "in_doubt")
        assert stage.rows("SELECT state FROM orders") == [("released",)]
        done = stage.cli("reconcile", "--date", stage.rows("SELECT date('now')")[0][0])
        assert done.returncode == 1
        assert "of books was never read completely (" in " ".join(done.stdout.split())
        remote.faults("books")
        until("the books caught up", lambda: remote("books", "documents"))
        assert [d["kind"] for d in remote("books", "documents")] == ["sales_order"]
    assert "Traceback" not in stage.log.read_text()


def test_s14_an_unknown_sku_is_held_and_continues_when_the_item_exists(
    open_for_business: tuple[Stage, Any],
) -> None:
    stage, remote = open_for_business
    remote("shop", "list_item", sku="GHOST", price="5.00", quantity=4)
    with stage.daemon():
        until("TEA is offered", lambda: remote("shop", "shown", sku="TEA") > 0)
        # The shop lists what no warehouse knows; we offer none of it, somebody there does.
        remote("shop", "list_item", sku="GHOST", price="5.00", quantity=4)
        remote("shop", "place_order", lines=[{"sku": "GHOST", "quantity": 1},
                                             {"sku": "TEA", "quantity": 1}])  # fmt: skip
        until("it is held", lambda: stage.rows("SELECT 1 FROM holds"))
        done = stage.cli("holds")
        assert done.returncode == 1
        assert "no warehouse and no ERP knows the SKU 'GHOST'" in done.stdout
        assert "Create the item in the warehouse, correct the SKU on the channel" in done.stdout
        assert stage.rows("SELECT total_minor FROM orders") == [(1500,)]  # the money is kept
        assert remote("depot", "orders") == []
        remote("depot", "receive", sku="GHOST", place="EAST", quantity=3)
        until("the warehouse has it", lambda: remote("depot", "orders"))
        assert stage.cli("holds").stdout == "Nothing needs you.\n"


def test_an_unknown_payment_word_is_held_until_the_mapping_knows_it(
    open_for_business: tuple[Stage, Any],
) -> None:
    stage, remote = open_for_business
    path = stage.mappings / "generic_channel" / "order.yaml"
    with stage.daemon():
        for _ in range(2):
            sell(remote, payment="barter")
        held = "SELECT count(*) FROM inbox WHERE state = 'held' AND via = 'hook'"
        until("both pushes are held", lambda: stage.rows(held) == [(2,)])
        said = stage.cli("holds").stdout
        assert said.count("[") == 1  # one cause, one exception
        assert "barter" in said
        line = path.read_text()[: path.read_text().index("  payment:\n")].count("\n") + 1
        assert f"{path.parent.name}/{path.name}:{line + 1}" in " ".join(said.split())
        path.write_text(
            path.read_text().replace("    paid: paid\n", "    paid: paid\n    barter: paid\n")
        )
        done = stage.cli("reload")
        assert done.returncode == 0, done.stderr
        # None is left for it where the daemon has looked at the files itself meanwhile.
        assert done.stdout.startswith("replayed: ")
        until("the warehouse has both", lambda: len(remote("depot", "orders")) == 2)
        assert stage.cli("holds").returncode == 0


def test_h34_a_broken_edit_is_refused_and_the_old_mapping_stays(
    open_for_business: tuple[Stage, Any],
) -> None:
    stage, remote = open_for_business
    path = stage.mappings / "generic_channel" / "order.yaml"
    with stage.daemon():
        path.write_text(path.read_text().replace("total | money", "total | mony"))
        done = stage.cli("reload")
        assert done.returncode != 0
        assert f"{path}:" in done.stderr
        sell(remote)
        until("the warehouse has it", lambda: remote("depot", "orders"))


def test_a_wrong_hook_secret_costs_the_pushes_and_no_order(
    open_for_business: tuple[Stage, Any],
) -> None:
    """Every push is refused as forged; the sweep finds the order all the same (S11)."""
    stage, remote = open_for_business
    with stage.daemon(SHOP_HOOK="the-secret-of-last-year"):
        sell(remote)
        until("the warehouse has it", lambda: remote("depot", "orders"))
        assert stage.rows("SELECT DISTINCT via FROM inbox WHERE system = 'shop'") == [("sweep",)]
        metrics = httpx.get(f"http://127.0.0.1:{stage.operations}/metrics", trust_env=False).text
        forged = 'truecount_forged_total{reason="wrong_signature",system="shop"} '
        [count] = [line for line in metrics.splitlines() if line.startswith(forged)]
        assert float(count.removeprefix(forged)) >= 1
