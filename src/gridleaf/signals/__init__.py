"""The site's own signals: grid meter, generation and building load, by MQTT or Modbus TCP."""

from gridleaf.signals.intake import Join, Sink, believable
from gridleaf.signals.modbus import follow_modbus
from gridleaf.signals.mqtt import check_mqtt, follow_mqtt, routes_of
from gridleaf.signals.registers import load_map, shipped_maps

__all__ = [
    "Join",
    "Sink",
    "believable",
    "check_mqtt",
    "follow_modbus",
    "follow_mqtt",
    "load_map",
    "routes_of",
    "shipped_maps",
]
