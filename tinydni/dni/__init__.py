"""Decoupled neural interfaces: the module, the network, and the ways to run them."""

from tinydni.dni.decouple import decouple
from tinydni.dni.module import DNI
from tinydni.dni.network import Network
from tinydni.dni.schedules import backprop, top_only, update_decoupled

__all__ = ["DNI", "Network", "backprop", "decouple", "top_only", "update_decoupled"]
