"""Synthesizers: small models that predict the gradient at an interface."""

from tinydni.synthesizers.auxiliary import AuxiliarySynthesizer
from tinydni.synthesizers.conv import ConvSynthesizer
from tinydni.synthesizers.conv_input import ConvInputSynthesizer
from tinydni.synthesizers.flattened import Flattened
from tinydni.synthesizers.guess import Guess, GuessSynthesizer
from tinydni.synthesizers.input import InputSynthesizer
from tinydni.synthesizers.linear import LinearSynthesizer
from tinydni.synthesizers.local import LocalHead
from tinydni.synthesizers.mlp import MLPSynthesizer
from tinydni.synthesizers.scaled import Scaled
from tinydni.synthesizers.synthesizer import Synthesizer
from tinydni.synthesizers.untrained import Untrained
from tinydni.synthesizers.virtual_linear import VirtualLinear
from tinydni.synthesizers.virtual_mlp import VirtualMLP
from tinydni.synthesizers.virtual_network import VirtualNetwork

__all__ = ["AuxiliarySynthesizer", "ConvInputSynthesizer", "ConvSynthesizer", "Flattened", "Guess",
           "GuessSynthesizer", "InputSynthesizer", "LinearSynthesizer", "LocalHead", "MLPSynthesizer", "Scaled",
           "Synthesizer", "Untrained", "VirtualLinear", "VirtualMLP", "VirtualNetwork"]
