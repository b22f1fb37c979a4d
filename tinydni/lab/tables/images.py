"""The tables of images: MNIST as Jaderberg et al. 2016 and Miyato et al. 2017, CIFAR-10."""

from functools import partial

from tinydni.lab.tables.table import Cell, Table, grid

PAPER = {       # table 1 of Jaderberg et al.: test error [%] of 500,000 iterations, by layers
    "none": {3: 9.3, 4: 12.6, 5: 16.2, 6: 21.4},
    "backprop": {3: 2.0, 4: 1.8, 5: 1.8, 6: 1.8},
    "dni": {3: 1.9, 4: 2.2, 5: 3.4, 6: 4.3},
    "cdni": {3: 2.2, 4: 1.9, 5: 1.7, 6: 1.6},
    "label-only": {},
}
PAPER_CNN = {
    "none": {3: 0.9, 4: 2.8}, "backprop": {3: 0.8, 4: 0.6}, "dni": {3: 0.9, 4: 0.7},
    "cdni": {3: 1.0, 4: 0.8}, "vfbn": {},
}
PAPER_CIFAR10 = {
    "none": {3: 54.9, 4: 57.2, 5: 59.6, 6: 61.9}, "backprop": {3: 43.5, 4: 43.0, 5: 41.7, 6: 42.0},
    "dni": {3: 42.5, 4: 45.0, 5: 46.9, 6: 49.7}, "cdni": {3: 48.5, 4: 45.1, 5: 43.5, 6: 46.8},
}
PAPER_CIFAR10_CNN = {
    "none": {3: 28.7, 4: 38.1}, "backprop": {3: 17.9, 4: 15.7}, "dni": {3: 19.5, 4: 19.5},
    "cdni": {3: 19.0, 4: 16.4},
}
DNI, CDNI, VFBN = ({"method": name} for name in ("dni", "cdni", "vfbn"))
GUESS = {**DNI, "synthesizer": "guess"}
FOUR = {"backprop": {"method": "backprop"}, "cdni": CDNI, "dni": DNI, "none": {"method": "none"}}
LATE, MIRRORED = {**DNI, "late": 1}, {"start": "looks-linear"}
SIX = {         # at six layers only: options
    "true at once (locked)": {**DNI, "late": 0}, "guesses": DNI,
    "guesses, looks-linear": {**DNI, **MIRRORED}, "backprop": FOUR["backprop"],
    "backprop, looks-linear": {**FOUR["backprop"], **MIRRORED},
    "frozen": FOUR["none"], "frozen, looks-linear": {**FOUR["none"], **MIRRORED},
}
SEES = {        # what the synthesizers see: options
    "h and the label": CDNI, "h, a guess from x": GUESS,
    "h, a guess from h1": {**GUESS, "context": "h1"}, "h alone": DNI,
    "no synthesizer, backprop": FOUR["backprop"], "no synthesizer, frozen": FOUR["none"],
}
SMALLER = ("Our dni synthesizer has one hidden layer of 256, the paper's two of 1024; cdni is "
           "linear in both.")
LOCKED = ("At once: the same targets without delay, which brings all locks back. looks-linear: "
          "Balduzzi et al. 2017.")
TUNED = "Recipes were chosen on the last 10,000 training images, before the test set was used."
LONGER = [
    "The paper trains 500,000 iterations of batches of 256 (2,133 epochs) with Adam at 3e-5, "
    "divided by 10 at 300,000 and 400,000; we train few epochs of batches of 64 with larger rates "
    "that fall linearly to zero.", SMALLER, TUNED]


def layers(*numbers):
    """Return rows or columns of networks: {label: options}."""
    return {f"{n} layers": {"layers": n} for n in numbers}


def methods(*names):
    """Return rows or columns of methods."""
    return {name: {"method": name} for name in names}


def of_paper(paper):
    """Return the figures of a paper by row and column."""
    return {(f"{n} layers", method): figure for method, figures in paper.items()
            for n, figure in figures.items()}


def late_cells(epochs, **common):
    """Return late targets at every depth, and what to compare them with at six layers."""
    rows = {"true, one module a step": LATE, "the same, looks-linear": {**LATE, **MIRRORED}}
    return (grid(rows, layers(3, 4, 5, 6), {
        (row, f"{n} layers"): figure for row in rows for n, figure in PAPER["dni"].items()},
        **common)(epochs)
        + grid(SIX, layers(6), {(row, "6 layers"): PAPER[options["method"]][6]
                                for row, options in SIX.items()}, **common)(epochs))


def update_cells(epochs):
    """Return every p, as many updates with p = 0.5 as with 1, and a frozen network."""
    columns = methods("dni", "cdni", "vfbn")
    rows = {f"p = {p:g}": {"p_update": p} if p < 1 else {} for p in (1.0, 0.5, 0.2, 0.1)}
    return (grid(rows, columns, layers=3)(epochs)
            + grid({f"p = 0.5, {2 * epochs} epochs, not {epochs}": {"p_update": 0.5}}, columns,
                   layers=3)(2 * epochs)
            + grid({"p = 1": {}}, methods("none"), layers=3)(epochs))


def mnist(name, meaning, title, cells, epochs, *differences):
    """Return a table of test errors on MNIST."""
    return Table(name, meaning, f"MNIST, {title}", "tinydni.lab.jobs.mnist", "test_error",
                 "Test error [%]", cells, epochs, list(differences))


MNIST_TABLES = (
    mnist("mnist-fcn", "Jaderberg et al. 2016, table 1: fully connected networks on MNIST",
          "fully connected: synthetic gradients after every hidden layer",
          grid(layers(3, 4, 5, 6), methods(*PAPER), of_paper(PAPER)), 5, *LONGER,
          "label-only (the synthesizer sees the label and not h) is our control; the paper does "
          "not have it."),
    mnist("mnist-cnn", "Jaderberg et al. 2016, table 1: convolutional networks on MNIST",
          "convolutional: synthetic gradients after every hidden layer",
          grid(layers(3, 4), methods(*PAPER_CNN), of_paper(PAPER_CNN), model="cnn"), 3,
          "The paper trains 500,000 iterations of batches of 256 with Adam at 3e-5; we train few "
          "epochs of batches of 64 with larger rates that fall linearly to zero.",
          "64 filters of 5 x 5 in every hidden layer, pooling with stride 2: the paper gives "
          "neither number for MNIST.",
          "dni: two hidden convolutions, as the paper's. cdni: one linear convolution of h and "
          "label maps. vfbn is not in that paper.", TUNED),
    mnist("no-label", "six layers whose synthesizers see no label",
          "six fully connected layers: what the synthesizers see",
          grid(SEES, {"error [%]": {}}, {(row, "error [%]"): PAPER[options["method"]][6]
                                         for row, options in SEES.items()
                                         if "synthesizer" not in options}, layers=6), 10,
          "The guesses are ours, not the paper's: a classifier of x, or of h1 (the output of the "
          "bottom layer), learns from the gradients that arrive at the top and stands in for the "
          "label in virtual networks.", *LONGER),
    mnist("late", "h alone: synthesizers that learn from true gradients, which come late",
          "fully connected: what the synthesizers learn from, and where the weights start",
          late_cells, 10,
          "The paper's synthesizers learn from the guess of the module above. Rows with true "
          "gradients stand beside the same figures of the paper.",
          LOCKED, *LONGER),
    mnist("late-256", "h alone: the same with batches of 256, as the paper's, and longer",
          "fully connected, batches of 256: what the synthesizers learn from",
          partial(late_cells, batch_size=256), 30,
          "Guesses are the paper's way: every synthesizer learns from that of the module "
          "above. The others stand beside the same figures.", LOCKED,
          "The paper trains 500,000 iterations (2,133 epochs) with Adam at 3e-5, divided by 10 at "
          "300,000 and 400,000; we train 30 epochs with larger rates that fall linearly to zero. "
          "They are the rates of batches of 64.", SMALLER, TUNED),
    mnist("updates", "Jaderberg et al. 2016: layers that update with probability p",
          "3 layers: every layer updates with probability p",
          update_cells, 10,
          "The paper shows a plot: after 500,000 iterations about 2.1 to 2.4 % (dni) and 1.8 to "
          "2.5 % (cdni) for p of 0.2 and more, and steeply more for dni below p = 0.1. vfbn is not "
          "in that paper.", *LONGER),
    mnist("unlock", "Jaderberg et al. 2016: synthetic gradients and synthetic inputs",
          "full unlock: no layer waits for another",
          lambda epochs: grid(layers(3, 4), methods("dni", "cdni", "vfbn"), unlock=True)(epochs)
          + grid(layers(3, 4), {"backprop, locked": FOUR["backprop"],
                                "none, locked": FOUR["none"]})(epochs), 10,
          "The paper shows a plot: about 2.1 to 2.5 % after 500,000 iterations, both for dni and "
          "cdni. vfbn is not in that paper.",
          "The synthetic input of every layer is made from x by one hidden layer of 256 with batch "
          "normalisation.",
          "locked: the same networks without --unlock, by backpropagation, and frozen below the "
          "top, at those methods' own rates.", *LONGER),
    mnist("lambda", "Jaderberg et al. 2016, supplement: BP(λ)",
          "6 layers: BP(λ), from decoupled (0) to backprop (1)",
          grid({f"λ = {weight:g}": {"lambda": weight} for weight in (0.0, 0.25, 0.5, 0.75, 1.0)},
               methods("dni", "cdni"), layers=6), 5,
          "The supplement defines the mixture; we know of no figures of the paper for it on MNIST.",
          "λ = 1 is backprop under the learning rates of each column's method, not under those of "
          "--method backprop.", *LONGER),
    mnist("controls", "the same networks under every control",
          "fully connected: synthetic gradients beside their controls",
          grid(methods("backprop", "cdni", "dni", "label-only", "local", "dfa", "bottom", "none"),
               layers(3, 6)), 5,
          "label-only: the synthesizer sees the label and not h. local: every layer has a linear "
          "classifier of its own. dfa: direct feedback alignment (Nøkland 2016). bottom: the lower "
          "half of the layers with an output of its own. none: only the top learns.", *LONGER),
    mnist("vfbn", "Miyato et al. 2017: virtual forward-backward networks, on MNIST",
          "fully connected: virtual forward-backward networks",
          grid(layers(3, 6), {
              "backprop": FOUR["backprop"], "vfbn linear": VFBN,
              "vfbn 1 hidden": {**VFBN, "synthesizer": "virtual-mlp"},
              "vfbn untrained": {**VFBN, "untrained": True}, "layer-wise": {"method": "local"},
              "cdni": CDNI, "guess from x": GUESS}), 5,
          "The paper has one interface in ResNet-110 on CIFAR-10 (backprop 5.15, vfbn 5.51, "
          "untrained 5.73, layer-wise 5.71 %) and no MNIST; here every hidden layer has one.",
          "guess from x sees no label: its virtual network is compared with a guess that is "
          "learned from gradients alone.", *LONGER),
)


def cosine(result, start, end):
    """Return the mean cosine at the interface between two points of a run [shares of the whole].

    Of a short run, the nearest one.
    """
    history, epochs = result["history"], result["options"]["epochs"]
    places = [at / epochs for at in history["gradients_at"]]
    cosines = [of[0]["cosine"] or 0.0 for of in history["gradients"]]
    found = [value for value, place in zip(cosines, places) if start <= place <= end]
    nearest = min(zip(places, cosines), key=lambda pair: abs(pair[0] - start))[1]
    return sum(found) / len(found) if found else nearest


def cosine_early(result):
    """Return the cosine around a tenth of the run: of 2,500 steps, steps 200 to 400."""
    return cosine(result, 0.08, 0.16)


def cosine_late(result):
    """Return the cosine over the last quarter of the run."""
    return cosine(result, 0.75, 1.0)


def cifar10_cells(epochs):
    """Return the error of every method, and how good its synthetic gradients were."""
    common = {"model": "resnet", "layers": 20, "width": 8, "epochs": epochs, "validation": True}
    made = []
    for row, own in {
            "backprop": FOUR["backprop"], "vfbn": VFBN,
            "vfbn + own loss": {**VFBN, "supervised": 4.0},
            "vfbn untrained": {**VFBN, "untrained": True}, "cdni, linear": CDNI,
            "cdni, small ResNet": {**CDNI, "synthesizer": "resnet"},
            "layer-wise": {"method": "local"}, "bottom alone": {"method": "bottom"},
            "frozen bottom": FOUR["none"]}.items():
        guesses = own["method"] in ("vfbn", "cdni", "local")
        options = {**common, **own} | ({"measure_gradients": 50} if guesses else {})
        made.append(Cell(row, "error [%]", options))
        if guesses:
            made += [Cell(row, "cosine early", options, score=cosine_early),
                     Cell(row, "cosine late", options, score=cosine_late)]
    return made


CIFAR10 = Table(
    "cifar10", "Miyato et al. 2017, table 1: a residual network in two parts on CIFAR-10",
    "CIFAR-10, ResNet-20 in two parts", "tinydni.lab.jobs.cifar10", "validation_error",
    "Validation error [%]; batch cosine of synthetic and true gradient", cifar10_cells, 4, [
        "The paper trains ResNet-110, a first convolution of 16 channels and then 32, 64 and 64, "
        "cut in the middle of its second block, for 12 x 36 epochs. Test error: "
        "backprop 5.15 %, vfbn 5.51 %, layer-wise 5.71 %, vfbn untrained 5.73 %, bottom alone "
        "5.76 %, Jaderberg's synthesizers, linear 15.56 %, small ResNet 20.45 %. With 10,000 test "
        "images and single runs, all but the last two lie within each other's error.",
        "Here: ResNet-20 with 8, 16 and 32 channels, the first four training files with random "
        "crops and mirrors, batches of 64, SGD with momentum 0.9, rate 0.05 with a tenth of "
        "warm-up and a cosine, weight decay 5e-4; validation on the fifth file.",
        "The interface is above the first residual block of the second stage: 9 layers below it, "
        "11 above.",
        "vfbn, cdni: the synthetic gradient is multiplied by 2 and by 4, so that it is about as "
        "long as the true one. cdni, linear: one 5 x 5 convolution of h and label maps with Adam "
        "at 1e-5, which is 1e-3 on targets times 100.",
        "vfbn + own loss is ours: the virtual network descends its own classification loss, too, "
        "with four times the norm of the gradient matching; of 1, 4 and 16 times, compared on "
        "seeds 0 and 1.",
        "Cosine early: over steps 200 to 400 of 2,500; late: over the last quarter; every 50 "
        "steps, on batches that were not learned yet.",
        "frozen bottom: the lower part stays random. bottom alone: the lower part with a linear "
        "output of its own."])

def cifar10(name, meaning, title, cells, *differences):
    """Return a table of errors on CIFAR-10, after two epochs."""
    return Table(name, f"Jaderberg et al. 2016, table 1: {meaning} on CIFAR-10",
                 f"CIFAR-10, {title}: synthetic gradients after every hidden layer",
                 "tinydni.lab.jobs.cifar10", "validation_error", "Validation error [%]", cells, 2,
                 ["The paper's figures are test errors, after 500,000 iterations of batches of 256 "
                  "(2,560 epochs) with Adam at 3e-5, divided by 10 at 300,000 and 400,000. We "
                  "train two epochs of batches of 64 by the recipes that were chosen on MNIST, "
                  "without crops.",
                  *differences])


CIFAR10_TABLES = (
    cifar10("cifar10-fcn", "fully connected networks", "fully connected",
            grid(layers(3, 4, 5, 6), methods(*PAPER_CIFAR10), of_paper(PAPER_CIFAR10),
                 model="fcn", validation=True),
            "Hidden layers of 1000. Our dni synthesizer has one hidden layer of 256, the paper's "
            "two wider ones; cdni is linear in both."),
    cifar10("cifar10-cnn", "convolutional networks", "convolutional",
            grid(layers(3, 4), methods(*PAPER_CIFAR10_CNN), of_paper(PAPER_CIFAR10_CNN),
                 model="cnn", width=32, validation=True),
            "32 filters of 5 x 5 in every hidden layer, the paper 128.",
            "dni: two hidden convolutions, as the paper's. cdni: one linear convolution of h and "
            "label maps."),
    CIFAR10)
TABLES = (*MNIST_TABLES, *CIFAR10_TABLES)
