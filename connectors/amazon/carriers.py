"""The carrier words confirmShipment knows; any other is `Other` with the name beside it.

Amazon publishes no machine-readable list for this call. These are the words its
order-fulfillment feed has used for years, compared without case, space or mark.
"""

from __future__ import annotations

_KNOWN = (
    "Blue Package",
    "BlueDart",
    "Canada Post",
    "Chronopost",
    "City Link",
    "Delhivery",
    "Deutsche Post",
    "DHL",
    "DHL Global Mail",
    "DPD",
    "DTDC",
    "Fastway",
    "FedEx",
    "FedEx SmartPost",
    "GLS",
    "GO!",
    "Hermes Logistik Gruppe",
    "India Post",
    "La Poste",
    "Lasership",
    "Newgistics",
    "NipponExpress",
    "OnTrac",
    "OSM",
    "Parcelforce",
    "Poste Italiane",
    "Royal Mail",
    "SagawaExpress",
    "SDA",
    "Streamlite",
    "Target",
    "TNT",
    "UPS",
    "UPS Mail Innovations",
    "UPSMI",
    "USPS",
    "YamatoTransport",
)


def _bare(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


_CODES = {_bare(name): name for name in _KNOWN}


def carrier_of(name: str) -> dict[str, str]:
    """The two fields of a package detail that name the carrier."""
    code = _CODES.get(_bare(name))
    if code:
        return {"carrierCode": code}
    return {"carrierCode": "Other", "carrierName": name or "Other"}
