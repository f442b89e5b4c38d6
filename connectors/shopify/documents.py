"""The GraphQL documents we send; every one is validated against Shopify's own introspection.

Bounds: a query may cost 1000 points, so lists are short and whatever is longer
is paged by a document of its own. Directive and argument rules that the schema
does not know (`@idempotent`, a present `changeFromQuantity`) are pinned in tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connectors.shopify import forms

#: Orders of one page; with nested lines 250 of them exceed the cost of a single query.
ORDERS_PAGE = 50
LINES_PAGE = 50
VARIANTS_PAGE = 50
LEVELS_PAGE = 20
#: Shopify's limit on any input array.
QUANTITIES_MAX = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One operation. `points` is our estimate; every answer corrects the limiter.

    `gives` is the form of what we touch of its answer.
    """

    name: str
    text: str
    points: int
    gives: type[Any]
    writes: bool = False


_SHOP = "{shopMoney{amount}}"

_TAXES = f"{{title rate channelLiable priceSet{_SHOP}}}"

_DISCOUNTS = f"""{{
  allocatedAmountSet{_SHOP}
  discountApplication{{
    index targetType
    ... on DiscountCodeApplication{{code}}
    ... on AutomaticDiscountApplication{{title}}
    ... on ManualDiscountApplication{{title}}
    ... on ScriptDiscountApplication{{title}}
  }}
}}"""

_LINES = f"""{{
  pageInfo{{hasNextPage endCursor}}
  nodes{{
    id sku title quantity currentQuantity unfulfilledQuantity requiresShipping isGiftCard
    variant{{id inventoryItem{{id}}}}
    originalUnitPriceSet{_SHOP}
    discountAllocations{_DISCOUNTS}
    taxLines{_TAXES}
  }}
}}"""

_ORDER = f"""
  id name legacyResourceId createdAt updatedAt cancelledAt cancelReason closedAt test email
  sourceName displayFinancialStatus displayFulfillmentStatus paymentGatewayNames
  currencyCode presentmentCurrencyCode taxesIncluded
  totalPriceSet{_SHOP}
  currentTotalPriceSet{{shopMoney{{amount}} presentmentMoney{{amount currencyCode}}}}
  currentTotalAdditionalFeesSet{_SHOP}
  shippingAddress{{
    name company address1 address2 city zip provinceCode countryCodeV2 phone
  }}
  shippingLines(first:5){{nodes{{
    title code
    originalPriceSet{_SHOP} discountedPriceSet{_SHOP} currentDiscountedPriceSet{_SHOP}
    taxLines{_TAXES}
  }}}}
  lineItems(first:{LINES_PAGE}){_LINES}
"""

ORDERS = Document(
    name="Orders",
    gives=forms.Orders,
    points=100,
    # Without sortKey Shopify sorts by PROCESSED_AT and a watermark loses edits silently.
    text=f"""query Orders($query:String,$after:String){{
  orders(first:{ORDERS_PAGE},after:$after,query:$query,sortKey:UPDATED_AT){{
    pageInfo{{hasNextPage endCursor}}
    nodes{{{_ORDER}}}
  }}
}}""",
)

ORDER = Document(
    name="Order",
    gives=forms.Order,
    points=40,
    text=f"query Order($id:ID!){{order(id:$id){{{_ORDER}}}}}",
)

ORDER_LINES = Document(
    name="OrderLines",
    gives=forms.OrderLines,
    points=20,
    text=f"""query OrderLines($id:ID!,$after:String){{
  order(id:$id){{id updatedAt lineItems(first:{LINES_PAGE},after:$after){_LINES}}}
}}""",
)

_LEVELS = """{
  pageInfo{hasNextPage endCursor}
  nodes{
    id updatedAt
    location{id name isActive}
    quantities(names:["available"]){name quantity}
  }
}"""

LISTINGS = Document(
    name="Listings",
    gives=forms.Listings,
    points=60,
    text=f"""query Listings($after:String){{
  productVariants(first:{VARIANTS_PAGE},after:$after,sortKey:ID){{
    pageInfo{{hasNextPage endCursor}}
    nodes{{
      id sku title price
      product{{id title status}}
      inventoryItem{{
        id tracked
        inventoryLevels(first:{LEVELS_PAGE}){_LEVELS}
      }}
    }}
  }}
}}""",
)

ITEM_LEVELS = Document(
    name="ItemLevels",
    gives=forms.ItemLevels,
    points=10,
    text=f"""query ItemLevels($id:ID!,$after:String){{
  inventoryItem(id:$id){{id inventoryLevels(first:{LEVELS_PAGE},after:$after){_LEVELS}}}
}}""",
)

LEVELS_AT = Document(
    name="LevelsAt",
    gives=forms.LevelsAt,
    points=30,
    # One location by its id: the answer cannot be cut off by paging.
    text="""query LevelsAt($ids:[ID!]!,$location:ID!){
  nodes(ids:$ids){
    ... on InventoryItem{
      id
      inventoryLevel(locationId:$location){quantities(names:["available"]){name quantity}}
    }
  }
}""",
)

SET_QUANTITIES = Document(
    name="SetQuantities",
    gives=forms.SetQuantities,
    points=10,
    writes=True,
    # The directive belongs on the field. Required at run time since 2026-04, and the
    # schema cannot tell us when it is missing.
    text="""mutation SetQuantities($input:InventorySetQuantitiesInput!,$key:String!){
  inventorySetQuantities(input:$input) @idempotent(key:$key){
    inventoryAdjustmentGroup{id}
    userErrors{code field message}
  }
}""",
)

#: Lists of one order's parcels; beyond them we refuse to judge (see shipping.py).
FULFILLMENTS_MAX = 50
FULFILLMENT_ORDERS_MAX = 20
FULFILLMENT_LINES_MAX = 100

SHIPPING = Document(
    name="Shipping",
    gives=forms.Shipping,
    points=100,
    text=f"""query Shipping($id:ID!){{
  order(id:$id){{
    id name cancelledAt
    fulfillmentOrders(first:{FULFILLMENT_ORDERS_MAX}){{
      pageInfo{{hasNextPage}}
      nodes{{
        id status
        assignedLocation{{location{{id}}}}
        lineItems(first:{FULFILLMENT_LINES_MAX}){{
          pageInfo{{hasNextPage}}
          nodes{{id remainingQuantity lineItem{{id sku}}}}
        }}
      }}
    }}
    fulfillments(first:{FULFILLMENTS_MAX}){{
      id status
      trackingInfo{{number}}
      fulfillmentLineItems(first:{FULFILLMENT_LINES_MAX}){{
        pageInfo{{hasNextPage}}
        nodes{{quantity lineItem{{id sku}}}}
      }}
    }}
  }}
}}""",
)

FULFILL = Document(
    name="Fulfill",
    gives=forms.Fulfill,
    points=10,
    writes=True,
    text="""mutation Fulfill($fulfillment:FulfillmentInput!){
  fulfillmentCreate(fulfillment:$fulfillment){
    fulfillment{id status}
    userErrors{field message}
  }
}""",
)

SUBSCRIPTIONS = Document(
    name="Subscriptions",
    gives=forms.Subscriptions,
    points=20,
    text="""query Subscriptions($after:String){
  webhookSubscriptions(first:100,after:$after){
    pageInfo{hasNextPage endCursor}
    nodes{id topic uri}
  }
}""",
)

SUBSCRIBE = Document(
    name="Subscribe",
    gives=forms.Subscribe,
    points=10,
    writes=True,
    text="""mutation Subscribe($topic:WebhookSubscriptionTopic!,$uri:String!){
  webhookSubscriptionCreate(topic:$topic,webhookSubscription:{uri:$uri,format:JSON}){
    webhookSubscription{id topic uri}
    userErrors{field message}
  }
}""",
)

PROBE = Document(
    name="Probe",
    gives=forms.Probe,
    points=3,
    text="query Probe{currentAppInstallation{accessScopes{handle}} shop{name currencyCode}}",
)

ALL = (
    ORDERS,
    ORDER,
    ORDER_LINES,
    LISTINGS,
    ITEM_LEVELS,
    LEVELS_AT,
    SET_QUANTITIES,
    SHIPPING,
    FULFILL,
    SUBSCRIPTIONS,
    SUBSCRIBE,
    PROBE,
)
