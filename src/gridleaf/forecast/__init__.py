"""What to expect: load, PV, and the habits of drivers who say nothing."""

from gridleaf.forecast.habits import learned_wish
from gridleaf.forecast.persistence import SiteForecast, SiteHistory, forecast_site

__all__ = ["SiteForecast", "SiteHistory", "forecast_site", "learned_wish"]
