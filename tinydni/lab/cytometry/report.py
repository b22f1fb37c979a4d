"""What `tinydni calibrate` leaves behind: pictures, figures, warnings, in one folder."""

from tinydni.lab.cytometry.fit import running_mean
from tinydni.lab.files import write_json, write_text
from tinydni.plots import cell_scatter, learning_curve, marker_histograms, save
from tinydni.random import stream


def write_report(folder, facts, reference, before, after, columns, mmd, seed):
    """Writes report.md, report.json and the three pictures.

    facts: {"method": ..., "lines": [sentences], "warnings": [sentences], "numbers": {...}} and what else JSON shall say
    reference, before, after: standardised cells    mmd: of the training batches, one per update
    """
    names = ("reference", "sample before", "sample after")
    pictures = {
        "mmd.png": learning_curve({facts["method"]: (range(1, len(mmd) + 1), running_mean(mmd))},
                                  title="Distance to the reference", xlabel="update", ylabel="MMD, mean of 15 updates",
                                  reference={"reference to itself": facts["numbers"]["mmd_reference"]}),
        "cells.png": cell_scatter(reference, before, after, stream(seed, "sample", 4), "The cells", names),
        "markers.png": marker_histograms(reference, before, after, columns, "Every marker",
                                         "transformed, standardised by the reference"),
    }
    for name, picture in pictures.items():
        save(picture, folder / name)
    write_json(folder / "report.json", {**facts, "history": mmd})
    images = [f"![{picture.alt}]({name})" for name, picture in pictures.items()]
    warnings = [f"**Warning.** {text}" for text in facts["warnings"]] or ["No sign of merged populations."]
    write_text(folder / "report.md", "\n\n".join(["# Calibration", *facts["lines"], *warnings, *images]) + "\n")
