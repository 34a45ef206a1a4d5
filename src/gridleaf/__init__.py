"""gridleaf gives every EV battery a second job."""

__version__ = "0.1.0"
