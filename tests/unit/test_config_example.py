"""config.example.yaml is what the table of options says, and cannot be broken into a crash."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.config import load_config
from core.config_example import environment, example_text
from core.errors import ConfigError
from core.options import OPTIONS
from tests.unit.configured import SEAL_KEY

ROOT = Path(__file__).parents[2]


def test_the_example_is_what_the_table_says() -> None:
    assert (ROOT / "config.example.yaml").read_text("utf-8") == example_text()


def test_the_example_shows_every_option() -> None:
    text = example_text()
    missing = [path for path in OPTIONS if f"{path.rpartition('.')[2]}:" not in text]
    assert missing == []
    assert [line for line in text.splitlines() if len(line) > 100] == []


def test_the_example_is_accepted_with_the_variables_it_names() -> None:
    env = dict.fromkeys(environment(), SEAL_KEY)
    config = load_config(ROOT / "config.example.yaml", env)
    assert [one.connector for one in config.systems.values()][:2] == ["shopify", "amazon"]
    assert config.ownership.owner("on_hand", "east") == "acme-wms"
    assert config.ownership.owner("invoice") == "books"


EXAMPLE = example_text()
ENVIRONMENT = dict.fromkeys(environment(), SEAL_KEY)
SPICE = [
    "", " ", "\n", "\t", ":", "-", "[", "]", "{", "}", "#", "'", '"', "&a", "*a", "!!x", "${", "}",
    "null", "0", "-1", "99999999999999999999", "1e999", "\0", "é", "\ud7ff", "true", "../",
    "<<: {}", "truecount", "  x: y\n", "- ", "[]", "{}", "~", "%", "169.254.169.254", "http://[",
    "a" * 3000,
]  # fmt: skip


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """The example with lines and characters cut, moved, doubled and replaced."""
    text = EXAMPLE
    for _ in range(draw(st.integers(1, 4))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "double", "swap", "value", "insert", "indent", "cut"])):
            case "drop":
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "value":
                lines[at] = lines[at].partition(":")[0] + ": " + draw(st.sampled_from(SPICE))
            case "insert":
                column = draw(st.integers(0, len(lines[at])))
                spice = draw(st.sampled_from(SPICE) | st.text(max_size=5))
                lines[at] = lines[at][:column] + spice + lines[at][column:]
            case "indent":
                lines[at] = "  " + lines[at]
            case "cut":
                lines = lines[: at + 1]
        text = "\n".join(lines) or "\n"
    return text


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=mutations())
def test_a_mutilated_example_is_accepted_or_refused_and_nothing_else(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_config(path, ENVIRONMENT)
        problems = None
    except ConfigError as error:
        problems = error.problems
    assert problems is None or problems
    for problem in problems or ():
        assert problem.line >= 1
        assert problem.what
        assert SEAL_KEY not in str(problem)
