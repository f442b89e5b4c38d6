"""Words by which other systems call what our fields hold; only `mapping draft` looks here.

Without signs and in small letters: createTime, create_time and CREATE-TIME are one word.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: The last word of a field of ours -> what theirs may be called.
WORDS: dict[str, tuple[str, ...]] = {
    "key": _words("id orderid ordersn orderno ordernumber shipmentid uid uuid orderitemid"
                  " lineitemid itemid entryid rowid returnid refundid"),
    "revision": _words("updatedat updatetime lastupdatedtime modified datemodified writedate"
                       " modifieddate updated version lastmodified lastmodifieddate revision"),
    "number": _words("number ordernumber name orderno ordersn ordername incrementid"),
    "placed_at": _words("createdat createtime createdtime datecreatedgmt orderdate creationdate"
                        " datecreated purchasedate placedat transactiondate dateorder"),
    "updated_at": _words("updatedat updatetime lastupdatedtime datemodifiedgmt lastmodifieddate"
                         " modified writedate"),
    "cancelled_at": _words("cancelledat canceledat canceltime cancelleddate"),
    "currency": _words("currency currencycode currencyid currencyuomid"),
    "total": _words("total grandtotal totalamount ordertotal amounttotal totalprice price"
                    " currenttotalprice"),
    "payment": _words("paymentstatus financialstatus displayfinancialstatus orderpaymentstatus"
                      " paymentmethod status orderstatus"),
    "shipping_fee": _words("shippingfee shippingtotal shippingcost deliverycost freight"
                           " shippingamount"),
    "tax_included": _words("taxincluded taxesincluded pricesincludetax"),
    "email": _words("email buyeremail customeremail"),
    "name": _words("name fullname recipientname receivername contactname"),
    "company": _words("company companyname organization"),
    "street": _words("address1 addressline1 street street1 line1 addressdetail"),
    "street2": _words("address2 addressline2 street2 line2"),
    "city": _words("city town locality"),
    "region": _words("state province region stateorregion stateorprovince provincecode county"),
    "postcode": _words("zip zipcode postcode postalcode pincode postal"),
    "country": _words("country countrycode countryid regioncode countrycodev2"),
    "phone": _words("phone phonenumber mobile telephone mobileno primaryphone"),
    "sku": _words("sku sellersku itemsku modelsku itemcode productcode productid skuid defaultcode"
                  " internalcode"),
    "title": _words("title name itemname productname description displayname"),
    "quantity": _words("quantity qty quantityordered currentquantity productuomqty units"
                       " modelquantitypurchased amountordered"),
    "unit_price": _words("unitprice price lineitemcost priceunit rate itemprice unitlistprice"
                         " saleprice"),
    "on_hand": _words("onhand quantityonhand actualqty physicalquantity qtyonhand stock"),
    "available": _words("available availablequantity quantityavailable availabletopromise"
                        " sellablequantity freeqty"),
    "place": _words("location locationid warehouse warehousecode warehouseid facilityid"),
    "reference": _words("reference externalreference externalid clientorderid orderreference"),
    "tracking": _words("trackingnumber tracking trackingno awb waybill trackingcode"),
    "carrier": _words("carrier shippingcarriercode carriercode courier provider shippingcarrier"),
    "shipped_at": _words("shippedat shippeddate shipdate shippingdate"),
    "state": _words("state status"),
    "at": _words("at time timestamp eventtime datetime statusdatetime"),
    "code": _words("code statuscode eventcode nslcode"),
    "text": _words("text message description remarks"),
    "amount": _words("amount value tax taxamount discount discountamount total"),
    "rate": _words("rate taxrate ratepercentage"),
    "list_price": _words("listprice price standardprice"),
    "unit_cost": _words("cost unitcost standardcost costprice"),
    "order": _words("order orderid ordersn ordernumber"),
}  # fmt: skip

#: Names inside an object that is an amount: the name that says which stands outside.
AMOUNTS = _words("value amount shopmoney unitprice subtotal")

#: Lists and groups of ours -> what theirs may be called.
BLOCKS: dict[str, tuple[str, ...]] = {
    "ship_to": _words("shippingaddress shipping shipto recipientaddress deliveryaddress address"
                      " recipient addressshipping"),
    "lines": _words("lineitems items lines orderitems itemlist orderlines orderline products"),
    "taxes": _words("taxes taxlines tax taxdetails"),
    "discounts": _words("discounts discountallocations promotions couponlines"),
    "deadlines": _words("deadlines"),
    "cancellations": _words("cancelrequests cancellations"),
    "shipping_taxes": _words("shippingtaxes shippingtaxlines"),
    "fee_taxes": _words("feetaxes feetaxlines"),
}  # fmt: skip

#: The step a text usually needs.
STEPS: dict[str, str] = {
    "sku": " | sku",
    "country": " | country",
    "phone": " | phone",
    "currency": " | upper",
}

#: What tells the records apart: words that names of theirs contain.
RECORD_SIGNS: dict[str, tuple[str, ...]] = {
    "order": _words("lineitem orderitem itemlist buyer total shippingaddress currency"),
    "stock_reading": _words("onhand available reserved warehouse allocated"),
    "shipment": _words("tracking carrier shipped parcel package"),
    "return": _words("return refund reason condition"),
    "parcel_event": _words("waybill awb scan eventtime statuscode attempt"),
    "listing": _words("listing inventoryitem asin variant offer"),
    "price": _words("listprice cost pricelist taxclass"),
    "document": _words("invoice posted duedate journal"),
    "cancellation": _words("cancelreason cancelrequest requester"),
}
