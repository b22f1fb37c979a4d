"""The tables of recurrent networks: synthetic gradients in time, and between two networks."""

from tinydni.lab.jobs.two_rnn import DIGITS
from tinydni.lab.tables.table import Table, grid

BUDGET = "A window counts as one update, so that full backpropagation, whose window is the whole " \
         "sequence, sees the most sequences."
EASIER = "dni's synthesizer sees the state alone, as the paper's. cdni's also sees {}, in " \
         "training only: that is an easier problem, and not the paper's."
SMALL = "Our rows are of single bits, our LSTM has 64 cells and 15,000 updates; the paper's " \
        "figures come from far longer training, and its symbols and its curriculum may differ."
CHOSEN = "The synthesizers' learning rates were chosen on the seeds 0, 1 and 2; from seed 3 on " \
         "(--first-seed 3) nothing was."
FORMS = "dni and cdni have a linear synthesizer; dni + aux has one with a hidden layer of 128, " \
        "which its two heads share."
METHODS = {name: {"method": name} for name in ("backprop", "truncated", "dni", "cdni")}
AUX = {"method": "dni", "aux": True}
WINDOWED = {"truncated": METHODS["truncated"], "dni": METHODS["dni"], "dni + aux": AUX,
            "cdni": METHODS["cdni"]}
TO_COPY = WINDOWED | {"dni, λ = 1": {"method": "dni", "lambda": 1.0}}
RETURNS = "dni, λ = 1: its boundary learns at the end of a sequence what the rest of it sent " \
          "back (Pemberton & Costa 2024), not from the guess at the next boundary."


def cells(row, columns, updates, paper=(), score=None, **options):
    """Return a row of cells, with options that the whole row has in common."""
    found = {(row, column): figure for column, figure in zip(columns, paper)}
    return grid({row: {}}, columns, found, "updates", score, **options)(updates)


def recall_cells(updates):
    """Return 10 distractors; 20, where the gain must be larger; two layers, decoupled in depth.

    Each at its best and at its end: what hovers may be right once by chance.
    """
    kinds = {"N = 10": {}, "N = 20": {"distractors": 20}, "N = 10, two layers": {"layers": 2}}
    return [cell for kind, own in kinds.items()
            for name, score in (("best", "bits_best"), ("at the end", "bits"))
            for cell in cells(f"{kind}, {name}", METHODS, updates, score=score, **own)]


def returns_cells(updates):
    """Return dni with λ-returns of the gradient as its targets, at two factors of the guess."""
    rows = {"N = 10, guess times 0.3": {"scale": 0.3}, "N = 10, guess times 1": {"scale": 1.0},
            "N = 20, guess times 1": {"scale": 1.0, "distractors": 20}}
    columns = {f"λ = {lam:g}": {"lambda": lam} for lam in (0.0, 0.5, 1.0)}
    return grid(rows, columns, length="updates", score="bits", method="dni")(updates)


def copy_cells(paper):
    """Return the function that makes rows of windows of T steps with what the paper has for T.

    Full backpropagation, which has no window, stands in each of them. In the last row the windows
    of 3 steps have four times the updates.
    """
    return lambda updates: [
        *(cell for T, figures in paper.items() for cell in (
            *cells(f"T = {T}", TO_COPY, updates, figures, window=T),
            *cells(f"T = {T}", {"backprop": METHODS["backprop"]}, updates))),
        *cells("T = 3, four times the updates", TO_COPY, 4 * updates, window=3)]


def text_cells(updates):
    """Return windows of 8, and longer truncated ones for scale."""
    return [*cells("T = 8", WINDOWED, updates),
            *cells("T = 32", {"truncated": METHODS["truncated"]}, updates, window=32)]


def two_rnn_cells(updates):
    """Return both counts, with a tick every 4 digits; the same number of rows for all."""
    rows = max(1, updates // (DIGITS // 4))
    columns = METHODS | {"backprop": METHODS["backprop"] | {"updates": rows}}
    return [*cells("threes, slow", columns, updates, score="r2_slow", tick=4),
            *cells("odd, fast", columns, updates, score="r2_fast", tick=4)]


TABLES = (
    Table("recall", "distractor recall: synthetic gradients in time beside truncated and full "
          "backpropagation", "Distractor recall, windows of 3 steps", "tinydni.lab.jobs.recall",
          "bits_best", "Bits per answer; guessing costs 2", recall_cells, 3000, [
              "The paper has no such task. It asks for what truncation cannot give: the answer "
              "comes many windows after the symbol.",
              "best: of 30 evaluations in a run; at the end: the last of them.",
              BUDGET, EASIER.format("the symbol that will be asked for"),
              "Two layers under dni and cdni: each LSTM learns alone, decoupled in depth and in "
              "time."], "updates"),
    Table("recall-lambda", "Pemberton and Costa 2024: BP(λ) in time, on distractor recall",
          "Distractor recall from the state alone: what the boundary learns from",
          "tinydni.lab.jobs.recall", "bits", "Bits per answer at the end; guessing costs 2",
          returns_cells, 3000, [
              "λ = 0: the bootstrapped target, as in the table of recall; λ = 1: all that the rest "
              "of the sequence sends back, times the factor of the guess at every boundary.",
              "The paper learns online, by eligibility traces, on other tasks. Here the λ-returns "
              "are made at the end of each sequence, by a second pass.", BUDGET], "updates"),
    Table("copy", "Jaderberg et al. 2016, table 2: copy, windows of T steps",
          "Copy: the longest row that was learned", "tinydni.lab.jobs.copy_task", "longest",
          "Symbols; higher is better", copy_cells({3: (8, 14, 17), 5: (8, 18, 18)}), 15000,
          [SMALL, BUDGET, EASIER.format("the next 16 targets"), FORMS, RETURNS, CHOSEN], "updates"),
    Table("repeat-copy", "Jaderberg et al. 2016, table 2: repeat copy, windows of T steps",
          "Repeat copy: the longest output that was learned", "tinydni.lab.jobs.repeat_copy",
          "longest", "Symbols; higher is better", copy_cells({3: (5, 33, 59)}), 15000,
          [SMALL, BUDGET, EASIER.format("the next 16 targets"), FORMS, RETURNS], "updates"),
    Table("text", "characters of tinyshakespeare, windows of 8 (Jaderberg et al. 2016, table 2, "
          "has Penn Treebank)", "tinyshakespeare: the next character", "tinydni.lab.jobs.text",
          "bits_per_character", "Bits per character of the test part; lower is better", text_cells,
          4000, [
              "The paper's text is the Penn Treebank: truncated 1.35, dni 1.34, dni + aux 1.33 at "
              "T = 8, after training to convergence.",
              "All windows of a row have the same number of updates; T = 32 reads four times as "
              "much text.", EASIER.format("the next 4 characters"), FORMS], "updates"),
    Table("two-rnn", "Jaderberg et al. 2016, section 3.3: two recurrent networks at different "
          "clock rates", "Two networks count MNIST digits", "tinydni.lab.jobs.two_rnn", "r2_slow",
          "R² of a count on test digits; higher is better", two_rnn_cells, 12000, [
              "The paper gives no figures for this experiment.",
              "truncated: nothing trains the sender of the messages. dni and cdni: a synthetic "
              "gradient crosses the tick. backprop: both wait, and the gradient goes through "
              "everything.",
              "cdni sees the slow network's target and its last state beside the message; dni the "
              "message alone.",
              "All see the same number of rows and make the same number of steps; a window of "
              "backprop is a whole row."], "updates"),
)
