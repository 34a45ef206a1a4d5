"""A world to run against: stations that speak OCPP, vehicles with physics, and virtual time."""

from gridleaf.sim.dial import dial
from gridleaf.sim.station import SimStation
from gridleaf.sim.vehicle import SimVehicle
from gridleaf.sim.virtual import run_virtual

__all__ = ["SimStation", "SimVehicle", "dial", "run_virtual"]
