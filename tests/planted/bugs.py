"""Bugs that somebody might write, each with the harness that has to convict it.

A bug is a text of ours and what stands there instead. The text must occur exactly once: a
patch that no longer applies is a bug that nobody looks for any more. `says` is what the
failing harness has to print (a regular expression), so that it fails for this reason and not
for a slip in the patch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """`harness` is the node of pytest that must fail; of a state machine so many `examples`."""

    name: str
    file: str
    old: str
    new: str
    harness: str
    says: str
    examples: int = 0


LEDGER = "tests/unit/test_ledger_machine.py::TestTheLedgerAgainstATrueWarehouse::runTest"
ESCROW = "tests/unit/test_escrow_machine.py::TestEscrowAgainstTrueChannels::runTest"
KITS = "tests/unit/test_kit_machine.py::TestKitsInATrueWarehouse::runTest"
DIVIDED = "tests/unit/test_divided_machine.py::TestAPoolDividedOverATrueWarehouse::runTest"
FLOWS = "tests/flows"
RECONCILING = (
    "tests/reconciling/test_planted_differences.py::"
    "test_every_kind_is_named_with_its_cause_and_nothing_else_is"
)
LIVES = "tests/flows/test_lives_machine.py::TestLivesAgainstWhatTheirOwnersSay::runTest"

BUGS = (
    # ------------------------------------------------------------------ claims
    Bug(
        name="a claim is closed at the ship event",
        file="core/stock.py",
        old="        evidence = ledger.may_end(as_claim(row), reading, source)\n",
        new="        evidence = ledger.may_end(as_claim(row), reading, source)\n"
        '        evidence = evidence or (row.state == "shipped" and "the parcel has left")\n',
        harness=LEDGER,
        says="in nothing_is_sold_that_is_not_there",
        examples=25,
    ),
    Bug(
        name="accepted claims are subtracted from a number that has them out already",
        file="core/ledger.py",
        old='    if source.basis == "available" and claim.accepted is not None:\n',
        new='    if source.basis == "accepted" and claim.accepted is not None:\n',
        harness=LEDGER,
        says="in teardown",
        examples=25,
    ),
    Bug(
        name="the ledger forgets what others have claimed",
        file="core/ledger.py",
        old="        sellable=supply - claimed - doubt - safety_stock,\n",
        new="        sellable=supply - doubt - safety_stock,\n",
        harness=LEDGER,
        says="in nothing_is_sold_that_is_not_there",
        examples=25,
    ),
    Bug(
        name="the last unit is claimed for each channel that sold it",
        file="core/stock.py",
        old="    if units:\n        yield ledger.Claim(units=units)\n",
        new="    if units > 1:\n        yield ledger.Claim(units=units)\n",
        harness=f"{FLOWS}/test_last_units.py::"
        "test_s1_h17_the_last_unit_is_claimed_once_whoever_sells_it[on_hand]",
        says="claims beyond supply: [1-9]",
    ),
    Bug(
        name="units the warehouse was asked for are given back before it agrees",
        file="core/edits.py",
        old="        endings.cancel_units(work, old, min(-more, old.short) if asked else -more)\n",
        new="        endings.cancel_units(work, old, -more)\n",
        harness=f"{FLOWS}/test_changing_orders.py::"
        "test_h42_units_the_warehouse_was_asked_for_are_sold_to_nobody_after_an_edit",
        says=re.escape("assert (4, 1, 0, 0, 3) == (4, 4, 0, 0, 0)"),
    ),
    Bug(
        name="a late answer accepts units that were asked for later",
        file="core/outcomes.py",
        old="            claims.c.opened_at <= command.queued_at,",
        new="            claims.c.opened_at.is_not(None),",
        harness=f"{FLOWS}/test_changing_orders.py::"
        "test_h16_a_late_answer_says_nothing_of_units_asked_for_later",
        says="in never_more_than_is_there",
    ),
    # ------------------------------------------------------------------ revisions
    Bug(
        name="an older revision of an order is taken for news",
        file="core/orders.py",
        old="lifecycle.is_stale(row.revision, order.revision):\n",
        new="lifecycle.is_stale(row.revision, row.revision):\n",
        harness=LEDGER,
        says="in the_newest_told_revision_stands",
        examples=25,
    ),
    Bug(
        name="a stock number with an older counter is taken for news",
        file="core/ledger.py",
        old='            return "reset" if new.began_at > old.began_at else "stale"\n',
        new='            return "reset" if new.began_at > old.began_at else "newer"\n',
        harness=LEDGER,
        says="in the_number_in_force_never_grows_older",
        examples=25,
    ),
    # ------------------------------------------------------------------ quotas
    Bug(
        name="a raise leaves before the cut that pays for it is acknowledged",
        file="core/escrow.py",
        old="    cuts = _cuts(outlets, own, target, fit)\n",
        new="    cuts = _cuts(outlets, own, target, fit)\n"
        "    promised |= {key: (promised[key] or 0) - units for key, units in cuts.items()}\n",
        harness=ESCROW,
        says="in every_unit_that_can_be_sold_has_a_place",
        examples=60,
    ),
    Bug(
        name="a quota is given up before its cut is confirmed",
        file="core/escrow.py",
        old="    return replace(quota, pending=max(0, quantity - quota.shown))\n",
        new="    return replace(quota, pending=quantity - quota.shown)\n",
        harness=ESCROW,
        says="in no_channel_brings_more_than_its_ceiling",
        examples=60,
    ),
    Bug(
        name="an absolute write is believed to be exact",
        file="core/escrow.py",
        old="        return replace(done, ceiling=quota.ceiling + quantity)\n",
        new="        return replace(done, ceiling=quantity)\n",
        harness=ESCROW,
        says="in no_channel_brings_more_than_its_ceiling",
        examples=60,
    ),
    Bug(
        name="an absolute channel is cut directly, without zero and drain",
        file="core/escrow.py",
        old='    return 0 if outlet.write == "absolute" or shown is None else',
        new="    return 0 if shown is None else",
        harness=f"{FLOWS}/test_dividing.py::test_h19_a_cut_opens_nothing_again_that_was_sold_unseen",
        says="in nothing_is_shown_twice",
    ),
    Bug(
        name="a number whose answer was lost counts as not written",
        file="core/escrow.py",
        old="    ceiling = None if quota.ceiling is None else quota.ceiling + quota.pending\n"
        "    return Quota(ceiling=ceiling, back_at=quota.back_at, known_at=at)\n",
        new="    return replace(quota, pending=0)\n",
        harness=ESCROW,
        says="in no_channel_brings_more_than_its_ceiling",
        examples=60,
    ),
    Bug(
        name="what was put back while a number was on its way is forgotten",
        file="core/escrow.py",
        old="    if quota.back_at is not None and quota.back_at >= since:\n",
        new="    if False:\n",
        harness="tests/unit/test_escrow_machine.py"
        "::test_a_number_read_before_a_cancel_takes_nothing_from_what_was_put_back",
        says="assert 0 == 1",
    ),
    Bug(
        name="a command whose answer was lost counts as not done",
        file="core/outbox.py",
        old='        return Ended(state="in_doubt", words=words, wait_s=self._lookup_after(row))\n',
        new='        return Ended(state="queued", words=words, wait_s=self._lookup_after(row))\n',
        harness=f"{FLOWS}/test_delivering.py::test_h21_s9_a_lost_answer_is_looked_up_and_booked_once",
        says=re.escape('assert h.command("book_order")["state"] == "in_doubt"'),
    ),
    Bug(
        name="orders count as drained by a pass that began before they were placed",
        file="core/dividing.py",
        old="        return began is not None and began >= quota.anchor_at + timedelta("
        "seconds=write.settle_s)\n",
        new="        return began is not None\n",
        harness=DIVIDED,
        says="in (no_unit_is_shown_twice|no_channel_brings_more_than_its_ceiling)",
        examples=20,
    ),
    Bug(
        name="a unit is claimed where another channel has its only ones",
        file="core/placing.py",
        old="    return sorted(places, key=missed.__getitem__)\n",
        new="    return places if missed else []\n",
        harness=f"{FLOWS}/test_dividing.py::"
        "test_a_unit_is_claimed_where_no_other_channel_was_promised_it",
        says="in nothing_is_shown_twice",
    ),
    # ------------------------------------------------------------------ told and published
    Bug(
        name="of a batch that is refused whole the innocent half is given up",
        file="core/halving.py",
        old="                parts += [part[middle:], part[:middle]]\n",
        new="                parts += [part[:middle]]\n",
        harness=f"{FLOWS}/test_publishing.py::test_h20_a_batch_refused_whole_is_told_in_halves_"
        "until_the_guilty_one_is_alone",
        says="assert",
    ),
    Bug(
        name="a cut to zero waits behind all that changed before it",
        file="core/overtaking.py",
        old="            if rank <= offers.CUT and len(ahead.cuts) < CUTS_MAX:\n",
        new="            if rank < offers.ZERO and len(ahead.cuts) < CUTS_MAX:\n",
        harness=f"{FLOWS}/test_publishing.py::"
        "test_after_an_outage_a_cut_to_zero_overtakes_all_that_waits",
        says="assert",
    ),
    Bug(
        name="what overtakes carries the cursor past what it overtook",
        file="core/overtaking.py",
        old="    return {sku: seq for sku, seq in seqs.items() if sku not in skus}\n",
        new="    return seqs if skus else dict(seqs)\n",
        harness=f"{FLOWS}/test_publishing.py::"
        "test_after_an_outage_a_cut_to_zero_overtakes_all_that_waits",
        says="assert",
    ),
    Bug(
        name="a refused login is tried again by every lane",
        file="core/http.py",
        old="        if now < self.until:\n            raise LoginNeeded(",
        new="        if self.until < now < self.until:\n            raise LoginNeeded(",
        harness="tests/unit/door/test_door.py::"
        "test_a_system_that_refuses_our_login_is_left_alone_and_asked_by_one_call",
        says="assert",
    ),
    Bug(
        name="a command that was tried once is taken back all the same",
        file="core/taking_back.py",
        old='    if command.state not in ("queued", handover.PLANNED) or command.attempts:\n',
        new='    if command.state in ("done", "sending", "dead", "in_doubt"):\n',
        harness=f"{FLOWS}/test_taking_back.py::test_h24_what_was_tried_once_is_never_changed",
        says="assert",
    ),
    Bug(
        name="an attempt begins though its command was taken back meanwhile",
        file="core/outbox.py",
        old="                    outbox.c.state == row.state,\n",
        new="                    outbox.c.id.is_not(None),\n",
        harness=f"{FLOWS}/test_taking_back.py::"
        "test_a_command_taken_back_while_it_is_picked_up_does_not_leave",
        says="assert",
    ),
    Bug(
        name="what a sweep shows of a pushed order counts as news",
        file="core/hearing.py",
        old='(inbox.c.resource == "order") & (inbox.c.state == "applied")\n',
        new='(inbox.c.resource == "order")\n',
        harness=f"{FLOWS}/test_rounds.py::"
        "test_h10_pushes_that_stopped_are_noticed_by_what_only_the_sweep_brings",
        says="assert",
    ),
    Bug(
        name="a channel counts as silent for the time in which we were not there",
        file="core/silence.py",
        old="        total += usually(hour) * min(inside, listened_s(hour)) / ",
        new="        total += usually(hour) * inside / ",
        harness=f"{FLOWS}/test_rounds.py::test_after_a_stop_of_ours_nobody_counts_as_silent",
        says="assert",
    ),
    Bug(
        name="what waits longest goes first, whoever floods us",
        file="core/intake.py",
        old="        return self._page_of(connection, rows, self._whose_turn(connection))\n",
        new='        return self._page_of(connection, rows, "")\n',
        harness=f"{FLOWS}/test_surge.py::"
        "test_g10_a_flood_of_one_system_does_not_delay_what_another_says",
        says="assert (batches <= 4|waiting > 64)",
    ),
    Bug(
        name="a doubt is forgotten when the repeat surely did not happen",
        file="core/outbox.py",
        old='    return "in_doubt" if verb == "find" or row.state == "in_doubt" else "waiting"\n',
        new='    return "in_doubt" if verb == "find" else "waiting"\n',
        harness=f"{FLOWS}/test_delivering.py::"
        "test_h23_a_key_older_than_the_memory_of_the_other_side_is_looked_up_first[2]",
        says="assert",
    ),
    Bug(
        name="a dead system is asked by every lane for itself",
        file="core/breaker.py",
        old="        worn = self._failures >= FAILURES or self._soft >= SOFT_FAILURES\n",
        new="        worn = self._failures < 0 or self._soft < 0\n",
        harness=f"{FLOWS}/test_delivering.py::"
        "test_g11_the_books_down_for_hours_lose_nothing_and_delay_nobody",
        says="assert calls < 100",
    ),
    Bug(
        name="a push waits for the decisions beside it",
        file="core/store/engine.py",
        old="            (self._quick if waiting.single else self._rest).append(waiting)\n",
        new="            self._rest.append(waiting)\n",
        harness=f"{FLOWS}/test_surge.py::"
        "test_h46_a_push_is_answered_before_a_decision_that_waits_beside_it",
        says="decision runs",
    ),
    Bug(
        name="a batch is as large as ever, however long it takes",
        file="core/intake.py",
        old="        return max(1, int(DECIDE_S / self._row_s))\n",
        new="        return self._batch\n",
        harness=f"{FLOWS}/test_surge.py::test_h46_a_dear_batch_makes_the_next_one_small",
        says="assert",
    ),
    Bug(
        name="a push is refused for what a sweep has brought",
        file="core/app.py",
        old="        return self.backlog <= self.config.listen.waiting_max // 2\n",
        new="        return self.backlog <= self.config.listen.waiting_max * 2\n",
        harness=f"{FLOWS}/test_surge.py::test_g13_reading_stops_before_receiving_does",
        says="assert",
    ),
    # ------------------------------------------------------------------ what a number means
    Bug(
        name="the safety stock of the second location is forgotten",
        file="core/network.py",
        old="        return self.rules.safety(sku, location, supply, self.locations[location]."
        "safety_stock)\n",
        new="        first, *_ = self.locations.values()\n"
        "        own = first.safety_stock if location == first.name else 0\n"
        "        return self.rules.safety(sku, location, supply, own)\n",
        harness=f"{FLOWS}/test_publishing.py::test_every_location_keeps_its_own_safety_stock",
        says=re.escape('assert (h.sellable("TEA", "main"), h.sellable("TEA", "annex")) == (3, 1)'),
    ),
    Bug(
        name="a SKU that is missing has no units, although the manifest does not say so",
        file="core/passes.py",
        old="source is not None and source.missing_is_zero\n",
        new="source is not None and source.snapshot\n",
        harness=f"{FLOWS}/test_stock_numbers.py::"
        "test_a_sku_without_a_row_keeps_its_number_where_nobody_says_what_that_means",
        says=re.escape('assert h.shop.shown("TEA") == 5'),
    ),
    # ------------------------------------------------------------------ kits and cases
    Bug(
        name="an order of a kit forgets its last component",
        file="core/kit_lines.py",
        old="            for sku, factor in needs.items()\n",
        new="            for sku, factor in list(needs.items())[: max(1, len(needs) - 1)]\n",
        harness=KITS,
        says="in a_line_is_what_its_kit_is_made_of",
        examples=20,
    ),
    Bug(
        name="the offer of a kit forgets its scarcest component",
        file="core/quotas.py",
        old="    return min(max(0, sellable(item, location)) // factor for item, factor in needs."
        "items())\n",
        new="    return max(max(0, sellable(item, location)) // factor for item, factor in needs."
        "items())\n",
        harness=f"{FLOWS}/test_kits.py::"
        "test_a_kit_is_offered_by_its_scarcest_component_and_moves_with_each",
        says=re.escape('assert shown(h, "GIFT") == (3, 3)'),
    ),
    Bug(
        name="a half kit is claimed",
        file="core/routing.py",
        old="    units = [max(0, wish.units - waiting * wish.factor) for wish in kit]\n",
        new="    units = [min(wish.units, left[wish.sku]) for wish in kit]\n",
        harness=KITS,
        says="in whole_kits_only_are_claimed",
        examples=20,
    ),
    Bug(
        name="a number counted in cases is read as units",
        file="core/aliases.py",
        old="        return None if count is None else count * alias.factor\n",
        new="        return count\n",
        harness=KITS,
        says="in teardown",
        examples=20,
    ),
    Bug(
        name="a warehouse that counts in cases is asked in units",
        file="core/aliases.py",
        old="    units = whole(items, system, line.sku, line.quantity)\n"
        "    return replace(line, sku=items.word(system, line.sku).their_sku, quantity=units)\n",
        new="    units = line.quantity\n"
        "    return replace(line, sku=items.word(system, line.sku).their_sku, quantity=units)\n",
        harness=KITS,
        says="in the_warehouse_has_no_order_twice",
        examples=20,
    ),
    # ------------------------------------------------------------------ mode: plan, exceptions
    Bug(
        name="in plan mode the door lets a write out",
        file="core/http.py",
        old="        if self._spec.plans and (writes or method not in _READING):\n",
        new="        if self._spec.plans and method not in _READING:\n",
        harness=f"{FLOWS}/test_plan_mode.py::test_the_door_itself_lets_no_write_out",
        says=re.escape("depot: POST /orders"),
    ),
    Bug(
        name="in plan mode numbers are told",
        file="core/publish.py",
        old="        if system in self._network().plans or not await self._gate.opens():\n",
        new="        if not await self._gate.opens():\n",
        harness=f"{FLOWS}/test_plan_mode.py::test_in_plan_mode_no_system_is_written_to",
        says=re.escape('assert h.rows("SELECT * FROM told") == []'),
    ),
    Bug(
        name="in plan mode what was in doubt is tried",
        file="core/outbox.py",
        old="        if system in self._network().plans or not await self._gate.opens():\n",
        new="        if not await self._gate.opens():\n",
        harness=f"{FLOWS}/test_plan_mode.py::test_what_is_in_doubt_when_plan_mode_begins_waits",
        says=re.escape("assert tried(h) == before"),
    ),
    Bug(
        name="what was decided in plan mode is sent once it is live",
        file="core/handover.py",
        old="    return since is not None and min(row.placed_at, row.captured_at) < since\n",
        new="    return since is None and row is None\n",
        harness=f"{FLOWS}/test_plan_mode.py::test_a_newer_revision_does_not_send_what_may_be_done",
        says=re.escape("['depot', 'books'] == []"),
    ),
    Bug(
        name="the plan of a verb stays",
        file="core/rehearsal.py",
        old="            raise _Undone(value, before.seen(connection, self._app))\n",
        new="            before.seen(connection, self._app)\n            return value\n",
        harness=f"{FLOWS}/test_exceptions.py::"
        "test_a_plan_changes_nothing_and_names_exactly_what_then_leaves[release]",
        says=re.escape("assert state(h) == before"),
    ),
    Bug(
        name="currencies are added up",
        file="core/exceptions.py",
        old="        totals[order.currency] = totals.get(order.currency, 0) + order.total_minor\n",
        new='        totals["EUR"] = totals.get("EUR", 0) + order.total_minor\n',
        harness=f"{FLOWS}/test_exceptions.py::test_an_exception_says_what_is_at_stake_by_currency",
        says=re.escape("'JPY': 1200"),
    ),
    Bug(
        name="what was put off never comes back",
        file="core/exceptions.py",
        old='        "snoozed": row.snoozed_until if (row.snoozed_until or "") > now else None,\n',
        new='        "snoozed": row.snoozed_until,\n',
        harness=f"{FLOWS}/test_exceptions.py::"
        "test_a_snoozed_one_does_not_alarm_is_counted_in_the_mail_and_comes_back",
        says="ATTENTION: 1 thing needs you",
    ),
    # ------------------------------------------------------------------ whole lives of orders
    Bug(
        name="a stale revision is applied to an order that lives",
        file="core/lifecycle.py",
        old="    return bool(known) and revision_key(arriving) < revision_key(known)\n",
        new="    return False\n",
        harness=LIVES,
        says="fell back to",
        examples=5,
    ),
    Bug(
        name="a cancel returns its units without the word of the warehouse",
        file="core/endings.py",
        old="    ask_for_it_back(work, row, reason)\n",
        new="    ask_for_it_back(work, row, reason)\n    finish_cancel(work, row.id)\n",
        harness=LIVES,
        says="shipped_too_many:depot",
        examples=10,
    ),
    Bug(
        name="a part shipment closes an order",
        file="core/endings.py",
        old="    if not _all_left(work, order_id, own):\n",
        new="    if not own:\n",
        harness=LIVES,
        says="is closed, and the warehouse has|in it_ended_as_its_owners_say",
        examples=10,
    ),
    Bug(
        name="units of a refund are not taken off what can still be refunded",
        file="core/crediting.py",
        old="        _give_back(parts, note)\n",
        new="        assert note\n",
        harness="tests/unit/test_crediting.py::"
        "test_h37_refunds_of_parts_come_to_the_whole_each_cent_once",
        says="AssertionError|Hold",
    ),
    Bug(
        name="an order that was given up and edited stays open",
        file="core/shipments.py",
        old="    edits.follow_given_up(work, row, order)\n",
        new="",
        harness=f"{FLOWS}/test_order_endings.py::"
        "test_s15_what_the_warehouse_gave_up_and_the_channel_took_off_is_over[edit]",
        says="late:warehouse_cancelled",
    ),
    Bug(
        name="an address that changes after release is nobody's",
        file="core/orders.py",
        old="            edits.show_address(work, row, before, order)\n",
        new="",
        harness=f"{FLOWS}/test_changed_address.py::"
        "test_h42_an_address_changed_after_release_is_a_persons",
        says="late:address",
    ),
    Bug(
        name="another total after the invoice is nobody's",
        file="core/orders.py",
        old="        edits.show_money(work, row, order, before)\n",
        new="",
        harness=f"{FLOWS}/test_impossible_orders.py::"
        "test_s31_a_total_that_changes_after_the_invoice_is_a_persons_until_refunded",
        says="not enough values to unpack",
    ),
    Bug(
        name="a discount of an order is spread evenly over its lines",
        file="core/lifecycle.py",
        old="        shares = zip(lines, cut.amount.allocate(left), strict=True)\n",
        new="        shares = zip(lines, cut.amount.allocate([1] * len(lines)), strict=True)\n",
        harness=f"{FLOWS}/test_money_rules.py::"
        "test_s20_a_rule_arrives_in_the_books_to_the_minor_unit_and_goes_back_whole"
        "[a-discount-of-the-order-by-largest-remainder]",
        says=r"lines\.0\.discounts\.0\.amount",
    ),
    Bug(
        name="the rounding of a total is booked as nothing",
        file="core/booking.py",
        old="        sold = lifecycle.with_rounding(order)\n",
        new="        sold = order\n",
        harness=f"{FLOWS}/test_money_rules.py::"
        "test_s20_a_rule_arrives_in_the_books_to_the_minor_unit_and_goes_back_whole"
        "[a-cent-that-nobody-explains-within-the-limit]",
        says="refuses book_order: the total is 10.00|refused:books:book_order",
    ),
    # ------------------------------------------------------------------ reconciliation
    Bug(
        name="reconciling: a tax is not compared",
        file="core/compare_books.py",
        old="        own.tax_minor.is_(None),\n",
        new="        own.tax_minor.isnot(None),\n",
        harness=RECONCILING,
        says="wrong tax rate, the same total: .*tax_differs, said: nothing",
    ),
    Bug(
        name="reconciling: a draft counts as an invoice",
        file="core/compare_books.py",
        old="        *((there.c.posted == 1,) if posts else ()),\n",
        new="",
        harness=RECONCILING,
        says="invoice left as a draft: .*not_posted, said: nothing",
    ),
    Bug(
        name="reconciling: what a ledger cancelled still counts",
        file="core/compare_books.py",
        old="    live = own.cancelled == 0\n",
        new="    live = own.cancelled >= 0\n",
        harness=RECONCILING,
        says="order cancelled in the books: .*cancelled_there, said: nothing",
    ),
    Bug(
        name="reconciling: a second copy teaches how long a ledger takes",
        file="core/differences.py",
        old="func.min(kept.first_at).label",
        new="func.max(kept.first_at).label",
        harness=RECONCILING,
        says=r"order missing in the books: .*missing_there, said: \['not_read_back_yet'\]",
    ),
    Bug(
        name="reconciling: what waits behind a refused command is on its way",
        file="core/compare_books.py",
        old="    elif stopped_by is not None and stopped_by < asked.id:\n",
        new="    elif stopped_by is not None and stopped_by > asked.id:\n",
        harness=RECONCILING,
        says=r"delivery refused by the books: invoice .*said: \['command_on_its_way'\]",
    ),
    Bug(
        name="reconciling: a day is the day of UTC",
        file="core/compare_others.py",
        old="        wanted = day_of(unstamp(row.belongs), zone)\n",
        new="        wanted = unstamp(row.belongs).date()\n",
        harness=RECONCILING,
        says="invoice moved by time zone: .*moved_by_time_zone, said: nothing",
    ),
    Bug(
        name="reconciling: a parcel nobody was told of is nobody's difference",
        file="core/compare_parcels.py",
        old='words.difference("never_asked", "nothing was asked of it", since=row.seen_at)\n',
        new="None\n",
        harness=RECONCILING,
        says="parcel never told to the channel: .*never_asked, said: nothing",
    ),
    Bug(
        name="reconciling: some events account for any difference",
        file="core/compare_stock.py",
        old="    elif own.read_at > read_at:\n",
        new="    elif own.read_at != read_at:\n",
        harness=RECONCILING,
        says=r"ledger miscounted: .*stock_differs, said: \['read_before_change'\]",
    ),
    Bug(
        name="reconciling: components that left in kits are forgotten",
        file="core/ledger_events.py",
        old="            or_(late, of_kit),\n",
        new="            late,\n",
        harness=RECONCILING,
        says=r"kit mismatch: .*kit_booked_whole, said: \['stock_differs'\]",
    ),
    Bug(
        name="reconciling: a part of the units is enough to explain the rest",
        file="core/ledger_events.py",
        old="        if sum(one.units for one in settled[:count]) == left:\n",
        new="        if sum(one.units for one in settled[:count]):\n",
        harness=RECONCILING,
        says="unposted_return does not account for SKU-",
    ),
)
