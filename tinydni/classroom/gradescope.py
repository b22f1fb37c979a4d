"""The result of one submission as Gradescope reads it: results.json, one test per task."""

from tinydni.lab import files


def write_results(outcomes, path):
    """Writes the outcomes of one submission. Students see what was lost and why, not the drawn values."""
    files.write_json(path, {"tests": [{
        "name": f"{outcome.task} {outcome.title}", "score": outcome.points, "max_score": outcome.most,
        "output": "\n".join([*(f"{finding.check}: {finding.reason}" for finding in outcome.findings), *outcome.notes])
        or "right", "visibility": "visible"} for outcome in outcomes]})
