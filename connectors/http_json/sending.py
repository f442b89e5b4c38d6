"""Commands: what goes out, and what of the answer becomes the receipt."""

from __future__ import annotations

from connectors.http_json import instants
from connectors.http_json.plan import Proof, Sending
from connectors.http_json.pointing import at, placed, text
from core.contract import Command, Json, Receipt
from core.errors import InDoubt, Rejected


def sent_body(sending: Sending, command: Command) -> Json:
    if sending.body == "none":
        return dict(sending.constants) or None
    if command.body is None:
        raise Rejected(command.kind, words="there is no mapping file that makes its document")
    if sending.at == ".":
        return {**sending.constants, **command.body} if sending.constants else command.body
    return placed(sending.at, command.body, dict(sending.constants))


def receipt_of(proof: Proof, body: Json, command: Command) -> Receipt:
    reference = command.key
    if proof.reference:
        named = text(at(body, proof.reference))
        if not named:
            # Done, or a polite nothing? The look-up will tell.
            raise InDoubt(command.kind, words=f"the answer has no {proof.reference}")
        reference = named
    counter = instants.read(at(body, proof.counter), "counter") if proof.counter else None
    return Receipt(
        reference=reference,
        counter=None if counter is None else int(counter),
        as_of=instants.instant(at(body, proof.as_of)) if proof.as_of else None,
    )
