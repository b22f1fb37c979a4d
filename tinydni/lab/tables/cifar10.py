"""Miyato et al. 2017, table 1, on a small scale: a residual network on CIFAR-10 in two parts."""

from tinydni.lab.tables.table import Cell, Table

METHODS = {
    "backprop": {"method": "backprop"},
    "vfbn": {"method": "vfbn"},
    "vfbn + own loss": {"method": "vfbn", "supervised": 4.0},
    "vfbn untrained": {"method": "vfbn", "untrained": True},
    "cdni, linear": {"method": "cdni"},
    "layer-wise": {"method": "local"},
    "bottom alone": {"method": "bottom"},
    "frozen bottom": {"method": "none"},
}
EVERY = 50          # steps between two comparisons of synthetic and true gradient


def cosine(result, start, end):
    """Mean batch cosine at the interface between two points of a run [shares of the whole]; of a short run, the nearest one."""
    history = result["history"]
    places = [at / result["options"]["epochs"] for at in history["gradients_at"]]
    cosines = [of[0]["cosine"] or 0.0 for of in history["gradients"]]
    found = [value for value, place in zip(cosines, places) if start <= place <= end]
    return sum(found) / len(found) if found else min(zip(places, cosines), key=lambda pair: abs(pair[0] - start))[1]


def cosine_early(result):
    """Around a tenth of the run: of 2,500 steps, steps 200 to 400."""
    return cosine(result, 0.08, 0.16)


def cosine_late(result):
    """Over the last quarter of the run."""
    return cosine(result, 0.75, 1.0)


def cells(epochs):
    """The error of every method, and how good its synthetic gradients were."""
    common = {"model": "resnet", "layers": 20, "width": 8, "epochs": epochs, "validation": True}
    made = []
    for row, own in METHODS.items():
        guesses = own["method"] in ("vfbn", "cdni", "local")
        options = {**common, **own} | ({"measure_gradients": EVERY} if guesses else {})
        made.append(Cell(row, "error [%]", options))
        if guesses:
            made += [Cell(row, "cosine early", options, score=cosine_early), Cell(row, "cosine late", options, score=cosine_late)]
    return made


TABLE = Table(
    "cifar10", "Miyato et al. 2017, table 1: a residual network in two parts on CIFAR-10",
    "CIFAR-10, ResNet-20 in two parts", "tinydni.lab.jobs.cifar10", "validation_error",
    "Validation error [%]; batch cosine of synthetic and true gradient", cells, epochs=4, differences=[
        "The paper trains ResNet-110 with 16, 32 and 64 channels for 12 x 36 epochs. Test error: backprop 5.15 %, vfbn 5.51 %, "
        "layer-wise 5.71 %, vfbn untrained 5.73 %, bottom alone 5.76 %, Jaderberg's synthesizers, linear 15.56 %, small ResNet 20.45 %. With 10,000 "
        "test images and single runs, all but the last lie within each other's error.",
        "Here: ResNet-20 with 8, 16 and 32 channels, the first four training files with random crops and mirrors, batches of 64, SGD "
        "with momentum 0.9, rate 0.05 with a tenth of warm-up and a cosine, weight decay 5e-4; validation on the fifth file.",
        "The interface is above the first residual block of the second stage: 9 layers below it, 11 above.",
        "vfbn, cdni: the synthetic gradient is multiplied by 2 and by 4, so that it is about as long as the true one. "
        "cdni, linear: one 5 x 5 convolution of h and label maps with Adam at 1e-5, which is 1e-3 on targets times 100.",
        "vfbn + own loss is ours: the virtual network descends its own classification loss, too, with four times the norm of the "
        "gradient matching; of 1, 4 and 16 times, compared on these same seeds.",
        "Cosine early: over steps 200 to 400 of 2,500; late: over the last quarter; every 50 steps, on batches that were not learned yet.",
        "frozen bottom: the lower part stays random. bottom alone: the lower part with a linear output of its own."])
