"""Decoupled neural interfaces: the module, the network, and the ways to run them."""

from tinydni.dni.boundary import Boundary
from tinydni.dni.bp_lambda import BPLambda
from tinydni.dni.decouple import decouple
from tinydni.dni.direct_feedback import DirectFeedback
from tinydni.dni.full_unlock import full_unlock
from tinydni.dni.module import DNI
from tinydni.dni.network import Network
from tinydni.dni.readers import Readers
from tinydni.dni.recurrent import RecurrentModule, RecurrentNetwork
from tinydni.dni.schedules import backprop, top_only, update_decoupled
from tinydni.dni.stochastic import Stochastic
from tinydni.dni.two_clocks import Sender, TwoClocks, TwoClocksWindow
from tinydni.dni.windows import Window, cut

__all__ = ["BPLambda", "Boundary", "DNI", "DirectFeedback", "Network", "Readers", "RecurrentModule", "RecurrentNetwork",
           "Sender", "Stochastic", "TwoClocks", "TwoClocksWindow", "Window", "backprop", "cut", "decouple",
           "full_unlock", "top_only", "update_decoupled"]
