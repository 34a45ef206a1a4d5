"""What to expect: load, PV, vehicles yet to come, and the habits of drivers who say nothing."""

from gridleaf.forecast.arrivals import ArrivalHistory
from gridleaf.forecast.habits import learned_wish
from gridleaf.forecast.persistence import SiteForecast, SiteHistory, forecast_site

__all__ = ["ArrivalHistory", "SiteForecast", "SiteHistory", "forecast_site", "learned_wish"]
