"""config.yaml is typed, and refused as a whole with every problem and its line."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.config import load_config
from core.errors import ConfigError
from tests.unit.configured import (
    CONFIG,
    ENV,
    SEAL_KEY,
    changed,
    line_of,
    load,
    refused,
    refused_with_columns,
)

ROOT = Path(__file__).parents[2]
SMTP = "report: {recipients: [a@b.example], from: c@d.example, smtp: {host: mail.example}}\n"


def test_a_short_file_has_every_default(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.company.timezone == ZoneInfo("Europe/Berlin")
    assert config.state == tmp_path / "state/truecount.db"
    assert config.seal_key.reveal() == SEAL_KEY
    assert (config.listen.hooks.host, config.listen.hooks.port) == ("127.0.0.1", 8080)
    assert config.listen.body_max == 2 * 1024 * 1024
    assert config.listen.deadline_s == 10.0
    assert config.console.password is None
    assert config.publish.policy == "adaptive"
    assert config.report is None
    assert config.routing == ("east",)
    assert config.rounding_limit_minor == 2
    assert config.retention.buyer_s == 30 * 86400
    assert config.log.format == "text"


def test_a_system_joins_its_settings_with_its_connector(tmp_path: Path) -> None:
    extra = "    every: {order: 90s}\n    ignore_places: [SCRAP]\n    network: private\n"
    config = load(tmp_path, changed("    connector: shop\n", "    connector: shop\n" + extra))
    web = config.systems["web"]
    assert web.settings == {"base_url": "https://shop.example.com", "version": "7"}
    assert web.secrets["token"].reveal() == "token-of-the-shop"
    assert web.every_s == {"order": 90.0, "listing": 900.0}
    assert web.ignore_places == {"SCRAP"}
    assert web.private
    assert web.mappings == tmp_path / "mappings" / "shop"
    assert web.manifest.package == "connectors.shop"


def test_a_mapping_folder_and_an_authority_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("", encoding="utf-8")
    extra = "    ca_file: ca.pem\n    mappings: mine/web\n"
    web = load(tmp_path, changed("    connector: shop\n", "    connector: shop\n" + extra)).systems[
        "web"
    ]
    assert web.ca_file == tmp_path / "ca.pem"
    assert web.mappings == tmp_path / "mine/web"


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n", encoding="utf-8")
    (tmp_path / "token").chmod(0o600)
    text = changed('{token: "${TOKEN}"}', "{token_file: token}")
    assert load(tmp_path, text).systems["web"].secrets["token"].reveal() == "from-a-file"


def test_t3_the_old_webhook_secret_stands_beside_the_new_one(tmp_path: Path) -> None:
    text = changed(
        '{token: "${TOKEN}"}', '{token: "${TOKEN}", hook: "${SEAL}", hook_old: "${TOKEN}"}'
    )
    web = load(tmp_path, text).systems["web"]
    assert web.secrets.keys() == {"token", "hook", "hook_old"}
    assert [one.reveal() for one in web.hook_secrets] == [SEAL_KEY, "token-of-the-shop"]


def test_t1_a_system_without_a_webhook_secret_takes_no_pushes(tmp_path: Path) -> None:
    systems = load(tmp_path).systems
    assert systems["web"].hook_secrets == ()
    assert systems["depot"].hook_secrets == ()


def test_t13_a_config_can_be_printed(tmp_path: Path) -> None:
    shown = repr(load(tmp_path))
    assert not [value for value in ENV.values() if value and f"'{value}'" in shown]
    assert SEAL_KEY not in shown


def test_a_report_is_read_whole(tmp_path: Path) -> None:
    smtp = "{host: mail.example, port: 465, tls: tls, user: me, password: '${TOKEN}'}"
    text = CONFIG + changed("{host: mail.example}", smtp, SMTP)
    report = load(tmp_path, text).report
    assert report is not None
    assert (report.at, report.settle_s, report.sender) == ("07:30", 900.0, "c@d.example")
    assert (report.smtp.port, report.smtp.tls, report.smtp.user) == (465, "tls", "me")
    assert report.recipients == ("a@b.example",)


def lines_of(found: list[str]) -> list[int]:
    return [int(problem.split("  ")[0].split(":")[1]) for problem in found]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = changed("currency: EUR", "currency: euro")
    text = changed("https://shop", "http://shop", text)
    text = changed("serves: [web]", "serves: [wbe]", text)
    text = changed("owner: ledger", "owner: ledgr", text)
    found = refused(tmp_path, text + "logs: {level: info}\n")
    assert lines_of(found) == [1, 6, 17, 20, 21]


def test_a_problem_says_its_column_too(tmp_path: Path) -> None:
    text = changed("currency: EUR", "currency: euro")
    text = changed("https://shop", "http://shop", text)
    text = changed("serves: [web]", "serves: [wbe]", text)
    text = changed("owner: ledger", "owner: ledgr", text) + "logs: {level: info}\n"
    found = [problem.split("  ")[0] for problem in refused_with_columns(tmp_path, text)]
    lines = text.splitlines()
    pointed = [lines[int(line) - 1][int(column) - 1 :] for _, line, column in
               (place.split(":") for place in found)]  # fmt: skip
    assert [words[:12] for words in pointed] == [
        "euro}", 'base_url: "h', "serves: [wbe", "{number: inv", "logs: {level",
    ]  # fmt: skip


def test_a_system_that_cannot_be_read_is_the_only_problem_it_causes(tmp_path: Path) -> None:
    text = changed("connector: store", "connector: stroe")
    assert lines_of(refused(tmp_path, text)) == [line_of("stroe", text)]


def test_t14_a_secret_file_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n", encoding="utf-8")
    (tmp_path / "token").chmod(0o644)
    text = changed('{token: "${TOKEN}"}', "{token_file: token}")
    assert refused(tmp_path, text) == [
        f"config.yaml:{line_of('token_file', text)}  systems.web.secrets.token_file: the secret"
        " file token can be used by others (mode 644)\n  chmod 600 token"
    ]


def test_a_broken_manifest_is_told_where_it_is_used(tmp_path: Path) -> None:
    assert refused(tmp_path, CONFIG, books="name: books\n")[0] == (
        f"config.yaml:{line_of('connector: books', CONFIG)}  systems.ledger.connector cannot be"
        " used: connectors/books/manifest.yaml:1: title is missing\n"
        "  what people call the system"
    )


def test_an_empty_file_and_no_file_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "# nothing\n") == ["config.yaml:1  is empty"]
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "nowhere.yaml", {})


def test_a_list_is_no_configuration(tmp_path: Path) -> None:
    assert refused(tmp_path, "- a\n")[0] == "config.yaml:1  the file is not a block of options"
