"""The DeepCyTOF pipeline around the network: log transform, denoising, standardisation, classifier."""

from dataclasses import dataclass

import numpy as np

from tinydni.datasets import cytometry
from tinydni.datasets.cytometry import SAMPLES
from tinydni.lab.cytometry.classifier import train_classifier
from tinydni.lab.cytometry.denoising import denoiser, nearly_complete
from tinydni.lab.cytometry.transform import Standardisation
from tinydni.variants.mmd import kernel_width
from tinydni.random import stream

REFERENCE = 2           # the sample nearest to all others by its covariance, as the public code chooses; kept fixed


@dataclass
class Pipeline:
    """All that is made once, from the reference, and used for every source.

    denoiser: a Network, or None    standardisation: by the mean and deviation of the reference
    target (M, D): the gated cells of the reference, standardised    m: width of the kernels
    classifier: a Network that gates standardised cells
    """

    denoiser: object
    standardisation: Standardisation
    target: np.ndarray
    m: float
    classifier: object

    @classmethod
    def build(cls, seed, dae=True, quick=False):
        """Trains denoiser (on cells of all 16 samples) and classifier (on the reference).

        quick: one short epoch of both, to see that it works
        """
        reference = cytometry(REFERENCE)
        network = None
        if dae:
            numbers = (REFERENCE,) if quick else SAMPLES
            cells = np.concatenate([nearly_complete(np.log1p(cytometry(number).counts)) for number in numbers])
            network = denoiser(cells, seed, epochs=1 if quick else 20)
        x = clean(reference.counts, network)
        standardisation = Standardisation.of(x)
        target = standardisation.forward(x)[reference.gated]
        labels = reference.labels[reference.gated]
        return cls(network, standardisation, target, kernel_width(target, stream(seed, "sample", 2)),
                   train_classifier(target, labels, seed, epochs=2 if quick else 80))

    def forward(self, counts):
        """Counts (N, D) as standardised cells."""
        return self.standardisation.forward(clean(counts, self.denoiser))


def clean(counts, network):
    """log(1 + counts), with the zeros filled in where there is a denoiser."""
    x = np.log1p(counts)
    return x if network is None else network.predict(x)
