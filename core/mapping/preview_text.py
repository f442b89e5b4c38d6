"""A preview as text for a terminal and as JSON; core/mapping/preview_page.py is the page."""

from __future__ import annotations

from typing import Any

from core.mapping.preview import EXAMPLES_MAX, Change, Effect, Held


def headline(effect: Effect) -> str:
    return f"{effect.mapping}: {versions(effect)}, tried on {effect.documents} recorded documents"


def versions(effect: Effect) -> str:
    return f"{effect.old or 'nothing in force'} -> {effect.new}"


def counts(effect: Effect) -> list[tuple[str, int]]:
    """What happens to how many; together they are all documents."""
    return [
        ("come out the same", effect.same),
        ("change", effect.changed),
        ("would newly be held", sum(one.documents for one in effect.held.values())),
        ("would be released", sum(one.documents for one in effect.released.values())),
        ("would newly be left out", len(effect.left_out)),
        ("would no longer be left out", len(effect.let_in)),
        ("stay held", effect.still_held),
    ]


def warning(effect: Effect) -> str:
    """Empty where nothing that was decided from already comes out differently."""
    if not effect.posted:
        return ""
    more = ", …" if effect.posted > len(effect.posted_labels) else ""
    return (
        f"{effect.posted} of them are posted already, so saving it asks first and"
        " `truecount reload --yes` takes it:"
        f" {', '.join(effect.posted_labels)}{more}"
    )


def advice(effect: Effect) -> str:
    """Empty where the new text has a number of its own."""
    if not effect.same_number:
        return ""
    number = effect.new.partition(" ")[0]
    return f"Both say {number}: raise `version` by one, so that people can tell them apart."


def lines(effect: Effect) -> list[str]:
    said = [headline(effect), ""]
    said += [f"  {count:>6}  {words}" for words, count in counts(effect) if count]
    if not effect.documents:
        said.append("  nothing of it is recorded, so nothing can be said")
    said += [line for words in (warning(effect), advice(effect)) if words for line in ("", words)]
    for name, change in effect.fields.items():
        said += ["", f"{name}: {change.documents}"]
        said += [f"  {one.label}: {one.before} -> {one.after}" for one in change.examples]
        said += _more(change.documents - len(change.examples))
    said += _held("Would newly be held", effect.held)
    said += _held("Would be released, held until now", effect.released)
    said += _listed("Would newly be left out", effect.left_out)
    said += _listed("Would no longer be left out", effect.let_in)
    if effect.nothing and effect.documents:
        said += ["", "Nothing would change."]
    return said


def _held(title: str, groups: dict[str, Held]) -> list[str]:
    said: list[str] = []
    for one in groups.values():
        said += ["", f"{title}: {one.documents}", f"  {one.reason}"]
        said += [f"  {label}" for label in one.labels]
        said += _more(one.documents - len(one.labels))
    return said


def _listed(title: str, labels: list[str]) -> list[str]:
    if not labels:
        return []
    shown = [f"  {label}" for label in labels[:EXAMPLES_MAX]]
    return ["", f"{title}: {len(labels)}", *shown, *_more(len(labels) - EXAMPLES_MAX)]


def _more(count: int) -> list[str]:
    return [f"  and {count} more"] if count > 0 else []


def as_json(effect: Effect) -> dict[str, Any]:
    return {
        "mapping": effect.mapping,
        "old": effect.old or None,
        "new": effect.new,
        "documents": effect.documents,
        "same": effect.same,
        "changed": effect.changed,
        "posted": effect.posted,
        "still_held": effect.still_held,
        "left_out": effect.left_out,
        "let_in": effect.let_in,
        "fields": {name: _change(one) for name, one in effect.fields.items()},
        "held": [_group(one) for one in effect.held.values()],
        "released": [_group(one) for one in effect.released.values()],
    }


def _change(change: Change) -> dict[str, Any]:
    examples = [
        {"document": one.label, "before": one.before, "after": one.after} for one in change.examples
    ]
    return {"documents": change.documents, "examples": examples}


def _group(held: Held) -> dict[str, Any]:
    return {
        "reason": held.reason,
        "next_step": held.next_step,
        "documents": held.documents,
        "examples": held.labels,
    }
