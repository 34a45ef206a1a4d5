"""Prices: market sources behind one port, the tariff of a site, demand charges."""

from gridleaf.tariff.book import PriceBook
from gridleaf.tariff.csv_prices import PriceSeries, read_price_csv
from gridleaf.tariff.curve import PriceCurve, Prices, tariff_prices
from gridleaf.tariff.demand import DemandMeter, billing_month
from gridleaf.tariff.port import PriceSource
from gridleaf.tariff.sources import DayAheadSource, make_source

__all__ = [
    "DayAheadSource",
    "DemandMeter",
    "PriceBook",
    "PriceCurve",
    "PriceSeries",
    "PriceSource",
    "Prices",
    "billing_month",
    "make_source",
    "read_price_csv",
    "tariff_prices",
]
