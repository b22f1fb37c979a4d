"""Decoupled neural interfaces: the module, the network, and the ways to run them."""

from tinydni.dni.bp_lambda import BPLambda
from tinydni.dni.decouple import decouple
from tinydni.dni.direct_feedback import DirectFeedback
from tinydni.dni.full_unlock import full_unlock
from tinydni.dni.module import DNI
from tinydni.dni.network import Network
from tinydni.dni.schedules import backprop, top_only, update_decoupled
from tinydni.dni.stochastic import Stochastic

__all__ = ["BPLambda", "DNI", "DirectFeedback", "Network", "Stochastic", "backprop", "decouple", "full_unlock", "top_only",
           "update_decoupled"]
