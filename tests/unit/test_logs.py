"""One line per stop, words from a list, no secret and no buyer (T13)."""

import io
import json
import logging
import warnings

import httpx
import pytest
import structlog

from core.logs import dropped, get_logger, set_up
from core.seal import hide
from core.secrets import Secret


@pytest.fixture(autouse=True)
def _as_it_was():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    loud = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "sqlalchemy")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in loud.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(capture=False)
    logging.raiseExceptions = True
    structlog.reset_defaults()


def listen(form="json", level="debug"):
    stream = io.StringIO()
    set_up(level=level, form=form, stream=stream)
    return stream


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_line_per_stop_as_json():
    stream = listen()
    get_logger().info("order.claimed", source="shopify", order="1001", sku="00123", units=2)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "order.claimed",
        "level": "info",
        "source": "shopify",
        "order": "1001",
        "sku": "00123",
        "units": 2,
    }


def test_one_line_per_stop_for_people():
    stream = listen("text")
    get_logger().info("order.claimed", source="shopify", order="1001", units=2)
    (line,) = stream.getvalue().splitlines()
    assert "order.claimed" in line
    assert "order=1001" in line
    assert "units=2" in line
    assert "\x1b" not in line


def test_a_word_that_is_not_on_the_list_is_dropped_and_counted():
    stream = listen()
    before = dropped().get("buyer_name", 0)
    get_logger().info("order.claimed", order="1001", buyer_name="Jane Canary")
    assert "Canary" not in stream.getvalue()
    assert dropped()["buyer_name"] == before + 1


def test_a_secret_and_a_buyer_inside_an_allowed_word_are_blotted_out():
    stream = listen()
    hide("canary-token-1")
    get_logger().warning(
        "call.refused",
        words="token canary-token-1 of jane@canary.example, +1 212 555 0187",
        state=Secret("canary-secret"),
    )
    assert "canary" not in stream.getvalue()
    assert lines(stream)[0]["state"] == "***"


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_value_cannot_forge_a_second_line_or_fill_the_disk(form):
    stream = listen(form)
    get_logger().info("order.held", reason="x\n2026 order.shipped\x1b[2J\u2028", words="y" * 9999)
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue()) < 900


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_is_plain_and_shows_no_locals(form):
    stream = listen(form)
    hide("canary-token-2")

    def fails(buyer):
        raise ValueError("bad canary-token-2")

    jane = "Jane {}".format("Canary")
    try:
        fails(jane)
    except ValueError:
        get_logger().exception("lane.stopped", lane="shopify")
    text = stream.getvalue()
    assert "ValueError: bad ***" in text
    assert "Jane Canary" not in text
    assert "canary" not in text


@pytest.mark.parametrize("form", ["json", "text"])
async def test_httpx_at_debug_does_not_print_the_query(form):
    stream = listen(form)
    answering = httpx.MockTransport(lambda request: httpx.Response(200))
    async with httpx.AsyncClient(transport=answering) as client:
        await client.get("https://shop.example/x?access_token=canary-token-3")
    assert "canary" not in stream.getvalue()
    assert logging.getLogger("httpcore").getEffectiveLevel() == logging.WARNING


def test_lines_of_libraries_pass_through_the_same_filter():
    stream = listen()
    hide("canary-token-4")
    logging.getLogger("somebody").error("failed with canary-token-4 for %s", "a@canary.example")
    (line,) = lines(stream)
    assert line["event"] == "failed with *** for ***"
    assert line["level"] == "error"


def test_warnings_of_python_are_lines_too():
    stream = listen()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing of jane@canary.example", stacklevel=1)
    assert "canary.example" not in stream.getvalue()
    assert lines(stream)[0]["level"] == "warning"


def test_below_its_level_nothing_is_said():
    stream = listen(level="warning")
    get_logger().info("order.claimed", order="1001")
    assert stream.getvalue() == ""


def test_setting_up_twice_does_not_say_everything_twice():
    listen()
    stream = listen()
    get_logger().info("order.claimed", order="1001")
    assert len(lines(stream)) == 1


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("odd", [10**30, "half a character \ud800", b"bytes", {"a": [1]}, 1.5])
def test_no_value_is_too_odd_for_a_line(form, odd):
    stream = listen(form)
    get_logger().info("order.claimed", units=odd)
    assert "units" in stream.getvalue()


def test_a_line_that_cannot_be_written_does_not_appear_elsewhere(capsys):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError("disk full")

    set_up(form="json", stream=Full())
    get_logger().info("order.claimed", order="canary-1")
    assert "canary" not in "".join(capsys.readouterr())
