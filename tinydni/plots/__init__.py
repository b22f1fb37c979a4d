"""Pictures: networks with their interfaces, learning curves, tables, and what a network gets wrong.

Every function returns a Picture, which shows itself in a notebook and knows its description in
words; `save` writes it. Matplotlib is imported when the first picture is drawn. `summary` and
`markdown_table` return text.
"""

from tinydni.plots.bit_predictions import bit_predictions
from tinydni.plots.cell_samples import cell_scatter, marker_histograms
from tinydni.plots.learning_curve import learning_curve
from tinydni.plots.misread_digits import misread_digits
from tinydni.plots.network import draw_network
from tinydni.plots.picture import Picture, check_path, save
from tinydni.plots.quality_panels import gradient_quality
from tinydni.plots.results_table import markdown_table, results_table
from tinydni.plots.summary import summary
from tinydni.plots.timeline import timeline

__all__ = ["Picture", "bit_predictions", "cell_scatter", "check_path", "draw_network",
           "gradient_quality", "learning_curve", "markdown_table", "marker_histograms",
           "misread_digits", "results_table", "save", "summary", "timeline"]
