"""The channels of the market: what their vendors publish about writes, rates and reading.

Three come from our connectors' manifests. The others are read off the contract sheets
(`reference/contracts-west.md`, `contracts-asia.md`, the section is named with each).
What a vendor does not publish is our assumption, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from core.escrow import Write
from core.manifest import load_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One kind of channel. `batch` SKUs fit one call, `per_s` calls a second, `burst` at once."""

    name: str
    write: Write
    batch: int
    per_s: float
    burst: float
    settle_s: float = 2.0  # a number that was taken is live after this at most
    pushed_s: float | None = 2.0  # median until its push is here; None: it pushes nothing
    poll_s: float = 300.0  # its orders are read this often
    asked: bool = True  # ... and at once when a drain wants it
    lag_s: float = 5.0  # what its order list does not know yet


#: A vendor that publishes no rate: we call it once a second.
UNPUBLISHED = {"per_s": 1.0, "burst": 5.0}

#: Rows that have no connector yet.
SHEETS = (
    # west 4: 25 a call; daily quota believed 2,000,000 calls, which is 23 a second.
    Vendor(name="ebay", write="absolute", batch=25, per_s=23.0, burst=50.0),
    # west 5: 100 a call, the host sets the rate; its queue is driven by visitors, minutes late.
    Vendor(name="woocommerce", write="absolute", batch=100, pushed_s=60.0, **UNPUBLISHED),
    # west 6: one SKU a call, quota only in headers; orders are polled.
    Vendor(name="walmart", write="absolute", batch=1, pushed_s=None, poll_s=60.0, **UNPUBLISHED),
    # west 6: one listing a call, 10 a second.
    Vendor(
        name="etsy", write="absolute", batch=1, per_s=10.0, burst=10.0, pushed_s=None, poll_s=60.0
    ),
    # asia 1.4: one item a call; limits not published (asia 4).
    Vendor(name="shopee", write="absolute", batch=1, **UNPUBLISHED),
    # asia 1.4: /product/stock/sellable/adjust is a delta, 20 SKUs advised; limits not published.
    Vendor(name="lazada", write="relative", batch=20, **UNPUBLISHED),
    # asia 1.4: one product a call.
    Vendor(name="tiktok_shop", write="absolute", batch=1, **UNPUBLISHED),
    # asia 1.4: 10 SKUs a call; limits not published (asia 7).
    Vendor(name="flipkart", write="absolute", batch=10, pushed_s=None, poll_s=60.0, **UNPUBLISHED),
)
#: A Shopify mutation costs 10 points of its bucket (west 2).
POINTS_A_CALL = 10.0


@cache
def vendors() -> tuple[Vendor, ...]:
    """All of them, the three of the manifests first."""
    shopify = _of_manifest("shopify", "points")
    amazon = _of_manifest("amazon", "patchListingsItem")
    return (
        replace(shopify, per_s=shopify.per_s / POINTS_A_CALL, burst=shopify.burst / POINTS_A_CALL),
        # One SKU a call; its search never knows the last two minutes, and its budget is
        # one search in three minutes, so nothing is asked besides (west 1).
        replace(amazon, batch=1, pushed_s=None, asked=False, lag_s=120.0),
        _of_manifest("generic_channel", "calls"),
        *SHEETS,
    )


def _of_manifest(name: str, budget: str) -> Vendor:
    manifest = load_manifest(name)
    write, rate = manifest.stock_write, manifest.budgets[budget]
    assert write is not None
    return Vendor(
        name=name,
        write=write.write,  # type: ignore[arg-type]  # the manifest's closed list
        batch=write.batch,
        per_s=rate.per_second,
        burst=rate.burst,
        settle_s=write.settle_s,
        poll_s=manifest.reads["order"].every_s,
    )
