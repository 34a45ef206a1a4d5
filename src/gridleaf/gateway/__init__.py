"""Sockets, TLS, authentication, admission, and the registry of connected stations."""

from gridleaf.gateway.connection import Connection, Intake
from gridleaf.gateway.gateway import Gateway
from gridleaf.gateway.secrets import load_secrets
from gridleaf.gateway.server import OcppServer

__all__ = ["Connection", "Gateway", "Intake", "OcppServer", "load_secrets"]
