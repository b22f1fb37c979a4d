"""Synthesizers: small models that predict the gradient at an interface."""

from tinydni.synthesizers.linear import LinearSynthesizer
from tinydni.synthesizers.mlp import MLPSynthesizer
from tinydni.synthesizers.synthesizer import Synthesizer

__all__ = ["LinearSynthesizer", "MLPSynthesizer", "Synthesizer"]
