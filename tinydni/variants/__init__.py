"""Variants: one research idea a file, on the library's public names."""

from tinydni.variants.auxiliary import AuxiliarySynthesizer
from tinydni.variants.bp_lambda import BPLambda
from tinydni.variants.controls import Flattened, Frozen, LocalHead, Scaled
from tinydni.variants.conv_synthesizer import conv_synthesizer
from tinydni.variants.difference_target import DifferenceTarget
from tinydni.variants.direct_feedback import DirectFeedback
from tinydni.variants.feedback_alignment import FeedbackAlignment
from tinydni.variants.forward_forward import ForwardForward, Goodness, forward_forward
from tinydni.variants.full_unlock import FullUnlock, full_unlock
from tinydni.variants.guess import Guess, GuessSynthesizer
from tinydni.variants.heads import Ensemble, Heads, with_heads
from tinydni.variants.input_synthesizers import conv_input_synthesizer, input_synthesizer
from tinydni.variants.lambda_returns import LambdaReturns
from tinydni.variants.late_gradients import LateGradients
from tinydni.variants.late_targets import LateTargets
from tinydni.variants.looks_linear import looks_linear
from tinydni.variants.mmd import MMD, kernel_width, mmd_squared
from tinydni.variants.replay import Replay
from tinydni.variants.shortcut import CloseShortcut, OpenShortcut
from tinydni.variants.stochastic import Stochastic
from tinydni.variants.synthetic_loss import SyntheticLoss
from tinydni.variants.target_projection import TargetProjection
from tinydni.variants.two_clocks import Sender, TwoClocks, TwoClocksWindow
from tinydni.variants.virtual_mlp import VirtualMLP
from tinydni.variants.virtual_network import VirtualNetwork

__all__ = ["AuxiliarySynthesizer", "BPLambda", "CloseShortcut", "DifferenceTarget",
           "DirectFeedback", "Ensemble", "FeedbackAlignment", "Flattened", "ForwardForward",
           "Frozen", "FullUnlock", "Goodness", "Guess", "GuessSynthesizer", "Heads",
           "LambdaReturns", "LateGradients", "LateTargets", "LocalHead", "MMD", "OpenShortcut",
           "Replay", "Scaled", "Sender", "Stochastic", "SyntheticLoss", "TargetProjection",
           "TwoClocks", "TwoClocksWindow", "VirtualMLP", "VirtualNetwork",
           "conv_input_synthesizer", "conv_synthesizer", "forward_forward", "full_unlock",
           "input_synthesizer", "kernel_width", "looks_linear", "mmd_squared", "with_heads"]
