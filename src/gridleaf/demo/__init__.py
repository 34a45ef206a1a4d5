"""A depot to watch: the platform with simulated stations, vehicles, sun and market."""

from gridleaf.demo.run import Options, play, simulate

__all__ = ["Options", "play", "simulate"]
