"""What `tinydni calibrate` leaves behind: pictures, figures, warnings, in one folder."""

from pathlib import Path
from typing import Any

import numpy as np

from tinydni.lab.cytometry.fit import running_mean
from tinydni.lab.files import write_json, write_text
from tinydni.plots import cell_scatter, learning_curve, marker_histograms, save
from tinydni.random import stream


def write_report(folder: Path, facts: dict[str, Any], reference: np.ndarray, before: np.ndarray,
                 after: np.ndarray, columns: list[str], mmd: list[float], seed: int) -> None:
    """Write report.md, report.json and the three pictures.

    Parameters
    ----------
    facts : {"method": ..., "lines": [sentences], "warnings": [sentences], "numbers": {...}} and
        what else JSON shall say
    reference, before, after : standardised cells
    mmd : of the training batches, one per update
    """
    names = ("reference", "sample before", "sample after")
    curve = range(1, len(mmd) + 1), running_mean(mmd)
    pictures = {
        "mmd.png": learning_curve(
            {facts["method"]: curve}, title="Distance to the reference", xlabel="update",
            ylabel="MMD, mean of 15 updates",
            reference={"reference to itself": facts["numbers"]["mmd_reference"]}),
        "cells.png": cell_scatter(reference, before, after, stream(seed, "sample", 4), "The cells",
                                  names),
        "markers.png": marker_histograms(reference, before, after, columns, "Every marker",
                                         "transformed, standardised by the reference"),
    }
    write_json(folder / "report.json", {**facts, "history": mmd})
    images = [f"![{picture.alt}]({name})" for name, picture in pictures.items()]
    warnings = [f"**Warning.** {text}" for text in facts["warnings"]]
    write_text(folder / "report.md", "\n\n".join([
        "# Calibration", *facts["lines"], *(warnings or ["No sign of merged populations."]),
        *images]) + "\n")
    for name, picture in pictures.items():
        save(picture, folder / name)
