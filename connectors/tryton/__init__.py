"""Tryton 8: one engine, two connectors. `tryton` is a ledger, `tryton_wms` a warehouse.

Which of the two is said by the manifest's roles; they share the REST face, the typed
values and the habits of the system, and nothing of each other's numbers.
"""

from __future__ import annotations

from connectors.tryton.erp import TrytonErp
from connectors.tryton.warehouse import TrytonWarehouse
from core.contract import Setup


def connect(setup: Setup) -> TrytonErp | TrytonWarehouse:
    if "warehouse" in setup.manifest["roles"]:
        return TrytonWarehouse(setup)
    return TrytonErp(setup)
