"""T13, T15: unique words in every secret and every buyer field, then a search everywhere.

A real daemon at log level debug works for buyers that exist nowhere else, while
systems refuse, fail and answer with error texts that repeat all they were sent. Then
everything anybody can read is searched: logs, faces, mail, and the bytes on the disk.
"""

from __future__ import annotations

import base64
import contextlib
import io
import signal
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from core.cli import main
from tests.acceptance.stage import SECRETS, Stage, until

pytestmark = pytest.mark.whole  # one play for all searches

CANARY = {name: f"zq-{name.lower().replace('_', '-')}-7k3v9-secret" for name in SECRETS} | {
    "SEAL": base64.b64encode(b"zq canary of the sealing key 32b").decode()
}
#: By system: every field a buyer can fill in. Of a telephone number the digits count.
SHOP_BUYER = {
    "name": "Zqvorna Kelmsworth",
    "company": "Zqbrandt Holdings",
    "street": "17 Zqhollow Crescent",
    "city": "Zqminster",
    "postcode": "ZQ17XK",
    "country": "DE",
    "email": "zqvorna.k@zqpost.example",
    "phone": "+4930771166523",
}
WEB_BUYER = {
    "name": "Zqtilda Oberwang",
    "company": "Zqlicht Werke",
    "address1": "Zqgasse 44b",
    "address2": "Zqhinterhaus",
    "city": "Zqstetten",
    "zip": "ZQ8844",
    "phone": "+4989665544871",
}
#: The one whose data other systems repeat in their refusals.
ECHOED_BUYER = {
    "name": "Zqperpetua Lanthorn",
    "company": "Zqtrust Unlimited",
    "street": "3 Zqmews Yard",
    "city": "Zqborough",
    "postcode": "ZQ99YY",
    "country": "DE",
    "email": "zqperpetua@zqmail.example",
    "phone": "+4940998877665",
}
WEB_EMAIL = "zqtilda@zqbriefe.example"
NO_PHONE = "zqphone-only-in-the-evening"
NO_COUNTRY = "Zqlandia"


def forms(word: str) -> set[str]:
    """As somebody may have written it: plain, percent-encoded, base64, lower case."""
    encoded = base64.b64encode(word.encode()).decode().rstrip("=")
    return {word, word.lower(), quote(word), quote(word, safe=""), word.replace(" ", "+"), encoded}


def canaries() -> dict[str, set[str]]:
    found = {f"secret {name}": forms(value) for name, value in CANARY.items()}
    for who, buyer in (("shop", SHOP_BUYER), ("web", WEB_BUYER), ("echoed", ECHOED_BUYER)):
        for field, value in buyer.items():
            if field == "country":
                continue  # two letters identify nobody, and taxes need them
            found[f"{who} {field}"] = forms(value.removeprefix("+"))
    found["web email"] = forms(WEB_EMAIL)
    found["shop phone that is none"] = forms(NO_PHONE)
    found["shop country that is none"] = forms(NO_COUNTRY)
    return found


def hits(where: str, content: bytes) -> list[str]:
    return [
        f"{what} in {where}: …{_around(content, form.encode())}…"
        for what, words in canaries().items()
        for form in sorted(words)
        if form.encode() in content
    ]


def _around(content: bytes, form: bytes) -> str:
    at = content.index(form)
    return content[max(0, at - 90) : at + len(form) + 30].decode("utf-8", "replace")


@dataclass
class Played:
    """Everything that can be read afterwards, by where it was read."""

    stage: Stage
    texts: dict[str, bytes]


class Letterbox:
    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        return "250 kept"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    stage = Stage(tmp_path_factory.mktemp("canary") / "stage", CANARY, level="debug")
    box = Letterbox()
    controller = Controller(box, hostname="127.0.0.1", port=stage.smtp)
    controller.start()
    texts: dict[str, bytes] = {}
    try:
        with stage.systems() as remote:
            with stage.daemon() as daemon:
                play(stage, remote)
                look(stage, texts)
                daemon.send_signal(signal.SIGKILL)  # its WAL stays, as after any crash
                daemon.wait()
                for path in sorted(stage.state.iterdir()):
                    texts[f"killed: {path.name}"] = path.read_bytes()
            with stage.daemon(DEPOT="zq-wrong-9j2-token"):  # wrong logins in between
                until("it is refused", lambda: b"depot refuses" in stage.log.read_bytes())
            with stage.daemon():
                until("all is done", lambda: quiet(stage))
    finally:
        controller.stop()
    for number, mail in enumerate(box.mails):
        texts[f"mail {number}"] = mail
        texts[f"mail {number}, decoded"] = decoded(mail)
    texts["daemon.log"] = stage.log.read_bytes()
    for path in sorted(stage.state.iterdir()):
        if path.name != "operations.token":
            texts[f"stopped: {path.name}"] = path.read_bytes()
    return Played(stage, texts)


def decoded(mail: bytes) -> bytes:
    from email import message_from_bytes, policy

    parts = message_from_bytes(mail, policy=policy.default).walk()
    return b"\n".join(
        part.get_payload(decode=True) or b"" for part in parts if not part.is_multipart()
    )


def play(stage: Stage, remote: Any) -> None:
    """Buyers buy on both channels; whatever can go wrong on the way out goes wrong."""
    for sku in ("TEA", "MUG"):
        remote("depot", "receive", sku=sku, place="EAST", quantity=20)
        remote("books", "set_item", sku=sku, list_price="10.00", unit_cost="4.00")
        remote("shop", "list_item", sku=sku, price="10.00")
        remote("web", "add_product", sku=sku, price="10.00")
    until("both offer it", lambda: offered(remote))
    # 500 with the buyer inside: in doubt. 422 with the buyer inside: refused, dead, held.
    stage.quotes(
        {
            "POST /depot/orders": {"status": 500, "times": 1},
            "POST /books/sales-orders": {"status": 422, "times": 1},
        }
    )
    remote("shop", "place_order", sku="TEA", quantity=1, buyer=ECHOED_BUYER)
    dead = "SELECT 1 FROM outbox WHERE state = 'dead' AND system = "
    until("the books refused", lambda: stage.rows(f"{dead} 'books'"))
    stage.quotes({"POST /depot/orders": {"status": 422, "times": 1}})
    until("the warehouse refused too", lambda: stage.rows(f"{dead} 'depot'"))
    buys_on_web(remote)
    look_at_trouble(stage)
    stage.quotes({})
    # A login that is refused, an answer that is lost, an answer that is half.
    remote.faults("books", lose_answers=1)
    remote("shop", "place_order", sku="MUG", quantity=1, buyer=SHOP_BUYER)
    until("it was lost", lambda: remote_faults(stage)["books"]["lose_answers"] == 0)
    remote.faults("books", status=401)
    remote.faults("shop", half=True)
    buys_on_web(remote)
    # Records that no mapping understands, and what it stumbles over is the buyer's own.
    broken = {**SHOP_BUYER, "phone": NO_PHONE, "country": NO_COUNTRY}
    remote("shop", "place_order", sku="MUG", quantity=1, buyer=broken)
    remote("web", "place_order", lines=[{"sku": "TEA", "quantity": 1}], email=WEB_EMAIL,
           ship_to={**WEB_BUYER, "countryCodeV2": NO_COUNTRY})  # fmt: skip
    until("it is held", lambda: stage.rows("SELECT 1 FROM inbox WHERE state = 'held'"))
    remote.faults("books")
    remote.faults("shop")
    said(stage, "retry")
    until("the warehouse has three", lambda: len(remote("depot", "orders")) >= 3)
    for order in remote("depot", "orders"):
        if order["state"] == "open":
            remote("depot", "ship", reference=order["reference"], tracking="PP1")
    until("a parcel is told", lambda: remote("shop", "shipments"))


def offered(remote: Any) -> bool:
    shop = all(remote("shop", "shown", sku=sku) > 0 for sku in ("TEA", "MUG"))
    return shop and all(
        level["available"] > 0 for level in remote("web", "stock", sku="TEA").values()
    )


def buys_on_web(remote: Any) -> None:
    remote(
        "web", "place_order", lines=[{"sku": "TEA", "quantity": 1}], ship_to=WEB_BUYER,
        email=WEB_EMAIL,
    )  # fmt: skip


def remote_faults(stage: Stage) -> Any:
    return httpx.get(f"http://127.0.0.1:{stage.fakes}/_faults", trust_env=False).json()


def quiet(stage: Stage) -> bool:
    live = stage.rows("SELECT 1 FROM outbox WHERE state IN ('sending', 'in_doubt')")
    return not live and not stage.rows("SELECT 1 FROM inbox WHERE state = 'pending'")


TROUBLE: dict[str, bytes] = {}


def look_at_trouble(stage: Stage) -> None:
    """While commands are dead: their words are the other system's own."""
    TROUBLE.clear()
    for verb in (
        ["dead"],
        ["dead", "--json"],
        ["holds"],
        ["holds", "--json"],
        ["status"],
        ["plan"],
        ["plan", "--json"],
    ):
        TROUBLE[" ".join(["in trouble:", *verb])] = said(stage, *verb)
    today = stage.rows("SELECT date('now')")[0][0]
    for way in ("--print", "--html", "--send"):
        TROUBLE[f"report in trouble {way}"] = said(stage, "report", "--date", today, way)
    for hold in stage.rows("SELECT id FROM holds"):
        TROUBLE[f"in trouble: holds {hold[0]}"] = said(stage, "holds", str(hold[0]))


def said(stage: Stage, verb: str, *words: str) -> bytes:
    """The command line of this process: the same program, without its start-up time."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stage.secrets.items():
            patch.setenv(name, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main([verb, "--config", str(stage.config), *words])
    return out.getvalue().encode()


def look(stage: Stage, texts: dict[str, bytes]) -> None:
    """Every face the program has."""
    texts |= TROUBLE
    today = stage.rows("SELECT date('now')")[0][0]
    for verb in ("status", "holds", "plan", "dead", "check", "doctor"):
        texts[verb] = said(stage, verb)
        texts[f"{verb} --json"] = said(stage, verb, "--json")
    for sku in ("TEA", "MUG"):
        texts[f"why {sku}"] = said(stage, "why", sku) + said(stage, "why", sku, "--json")
    for system, number in stage.rows("SELECT system, number FROM orders"):
        name = f"{system}:{number}"
        texts[f"trace {name}"] = said(stage, "trace", name) + said(stage, "trace", name, "--json")
    for words in ([], ["--html"], ["--json"], ["--send"]):
        texts[" ".join(["report", *words])] = said(stage, "report", "--date", today, *words)
    look_at_mappings(stage, texts)
    texts["reconcile"] = said(stage, "reconcile", "--date", today)
    token = (stage.state / "operations.token").read_text()
    for path in ("/metrics", "/", "/healthz", "/readyz"):
        for way in ({}, {"authorization": f"Bearer {token}"}):
            answer = httpx.get(
                f"http://127.0.0.1:{stage.operations}{path}", headers=way, trust_env=False
            )
            texts[f"GET {path} {answer.status_code}"] = answer.content
    hooks = httpx.get(f"http://127.0.0.1:{stage.hooks}/hooks/shop", trust_env=False)
    texts["GET /hooks/shop"] = hooks.content


def look_at_mappings(stage: Stage, texts: dict[str, bytes]) -> None:
    """Documents are opened for these: what they print, write and send must hold no buyer."""
    trial = stage.folder / "trial"
    for connector, old, new in (
        ("generic_channel", "buyer.name", "buyer.street"),
        ("shopify", "shippingAddress.name", "shippingAddress.address1"),
    ):
        source = stage.mappings / connector / "order.yaml"
        path = trial / connector / "order.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert old in source.read_text()
        text = source.read_text().replace(old, new).replace("| sku", "| sku | lower")
        path.write_text(text)
        page = trial / f"{connector}.html"
        texts[f"preview {connector}"] = said(
            stage, "mapping", "preview", str(path), "--html", str(page)
        )
        texts[f"preview {connector} as a page"] = page.read_bytes()
        texts[f"preview {connector} --json"] = said(
            stage, "mapping", "preview", str(path), "--json"
        )
    for system in ("shop", "web"):
        into = trial / "recorded" / system
        said(stage, "mapping", "sample", system, "order", "--into", str(into))
        written = sorted(into.glob("*.json"))
        assert written, system
        for one in written:
            texts[f"fixture {system} {one.name}"] = one.read_bytes()
    texts["coverage"] = said(stage, "mapping", "coverage")
    texts["drift"] = said(stage, "mapping", "drift", "--json")


#: "echoed": a system that repeats the buyer in its refusal. core/answers.py blots out what it can
#: recognize by itself, core/privacy.py the texts of the buyer we sent.
KINDS = ["secret", "shop", "web", "echoed"]


def test_the_play_really_had_buyers_failures_and_faces(played: Played) -> None:
    """A search that finds nothing proves nothing unless there was something to find."""
    stage = played.stage
    rows = dict(stage.rows("SELECT result, count(*) FROM attempts GROUP BY result"))
    assert rows["dead"] >= 2
    assert rows.get("in_doubt", 0) >= 1
    assert {system for (system,) in stage.rows("SELECT DISTINCT system FROM orders")} == {
        "shop", "web"
    }  # fmt: skip
    assert stage.rows("SELECT count(*) FROM orders WHERE doc IS NOT NULL") >= [(3,)]
    assert b"answered 422" in played.texts["in trouble: dead"]
    assert len(played.texts["report --html"]) > 2000
    assert b"Acme Outdoor" in played.texts["mail 0, decoded"]
    assert b'"level":"debug"' in played.texts["daemon.log"]
    assert len(played.texts["killed: truecount.db-wal"]) > 10_000
    fakes = (stage.folder / "fakes.log").read_bytes()
    assert hits("fakes", b"Zqvorna Kelmsworth" + fakes)  # the search itself finds


@pytest.mark.parametrize("kind", KINDS)
def test_t13_no_canary_in_any_log_face_or_mail(played: Played, kind: str) -> None:
    found = [
        hit
        for where, content in played.texts.items()
        if not where.startswith(("killed: truecount.db", "stopped: truecount.db"))
        for hit in hits(where, content)
        if hit.startswith(kind)
    ]
    assert not found, f"{len(found)} leaks:\n" + "\n".join(found)


def test_t13_what_leaves_the_house_repeats_no_buyer_even_if_a_system_did(played: Played) -> None:
    """The mail tells that something was refused, and keeps the words for `truecount dead`."""
    leaving = {w: c for w, c in played.texts.items() if w.startswith(("report", "mail"))}
    assert any(b"books refuses book_order" in content for content in leaving.values())
    assert [hit for where, content in leaving.items() for hit in hits(where, content)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_t15_no_canary_in_the_bytes_of_the_database(played: Played, kind: str) -> None:
    found = [
        hit
        for where, content in played.texts.items()
        if where.startswith(("killed: truecount.db", "stopped: truecount.db"))
        for hit in hits(where, content)
        if hit.startswith(kind)
    ]
    assert not found, f"{len(found)} leaks:\n" + "\n".join(found)
