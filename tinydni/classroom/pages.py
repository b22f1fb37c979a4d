"""The pages of a graded assignment: one per student, and a summary for the instructor."""

import re
from html import escape
from pathlib import Path
from statistics import mean

from tinydni.lab import files
from tinydni.classroom.grade import points
from tinydni.plots.picture import Picture, save
from tinydni.plots.style import BLUE, plain_axes

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: #1b1f27 }}
table {{ border-collapse: collapse }}
th, td {{ text-align: left; padding: .2em 1em .2em 0; border-bottom: 1px solid #dfe3e8 }}
td.n, th.n {{ text-align: right }} .lost {{ color: #c94f00 }} img {{ max-width: 100% }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def write_pages(assignment, found, folder):
    """Writes index.html, histogram.png and a page per student into a folder, which is made if it does not exist.

    found: {student: [Outcome, ...]}
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for student, outcomes in found.items():
        files.write_text(folder / f"{file_name(student)}.html", student_page(assignment, student, outcomes))
    save(histogram(assignment, found), folder / "histogram.png")
    files.write_text(folder / "index.html", summary_page(assignment, found))


def file_name(student):
    """The name of a student as that of a file; two students never share one, since folders are named after them."""
    return "page-" + re.sub(r"[^\w.@+-]", lambda match: f"%{ord(match[0]):x}", student)


def student_page(assignment, student, outcomes):
    """What was lost and why. The drawn values are not shown."""
    rows = "\n".join(f'<tr><td>{escape(o.task)}<td>{escape(o.title)}<td class=n>{o.points} of {o.most}'
                     f'<td>{escape("; ".join(o.notes))}' for o in outcomes)
    body = [f"<p><strong>{points(outcomes)} of {assignment.points} points.</strong></p>",
            f"<table><tr><th>task<th><th class=n>points<th>remarks\n{rows}\n</table>"]
    body += [lost(outcome) for outcome in outcomes if outcome.findings]
    body.append("<p>Every check ran on values that nobody has seen before; they are not shown. The same checks, with "
                f"other values: <code>tinydni assignment check {escape(assignment.name)}</code> in your folder.</p>")
    return PAGE.format(title=escape(f"{assignment.name} {assignment.title}: {student}"), body="\n".join(body))


def lost(outcome):
    """What a task asks that its solution does not do."""
    items = "\n".join(f"<li>{escape(finding.check)}: <span class=lost>{escape(finding.reason)}</span>"
                      for finding in outcome.findings)
    return f"<h2>{escape(outcome.task)} {escape(outcome.title)}</h2>\n<ul>\n{items}\n</ul>"


def summary_page(assignment, found):
    """All students, the share of each task, and the histogram."""
    n = len(found)
    shares = "\n".join(f"<tr><td>{escape(task.name)}<td>{escape(task.title)}<td class=n>"
                       f"{sum(outcomes[i].passed for outcomes in found.values())} of {n}"
                       for i, task in enumerate(assignment.tasks))
    rows = "\n".join(f'<tr><td><a href="{escape(file_name(student).replace("%", "%25"))}.html">{escape(student)}</a>'
                     + "".join(f"<td class=n>{outcome.points}" for outcome in outcomes)
                     + f"<td class=n><strong>{points(outcomes)}</strong>" for student, outcomes in found.items())
    heads = "".join(f"<th class=n>{escape(task.name)}" for task in assignment.tasks)
    body = f"""<p>{n} submissions, on average {mean(map(points, found.values())):.1f} of {assignment.points} points.</p>
<img src="histogram.png" alt="{escape(histogram(assignment, found).alt)}">
<table><tr><th>task<th><th class=n>solved by
{shares}
</table>
<p></p>
<table><tr><th>student{heads}<th class=n>points
{rows}
</table>"""
    return PAGE.format(title=escape(f"{assignment.name} {assignment.title}: grades"), body=body)


def histogram(assignment, found):
    """How many students have how many points, as a Picture."""
    counts = [0] * (assignment.points + 1)
    for outcomes in found.values():
        counts[points(outcomes)] += 1
    said = ", ".join(f"{count} with {n}" for n, count in enumerate(counts) if count)
    picture = Picture(6, 3, f"Bars: the number of students by points of {assignment.name}. {said}.")
    axes = picture.add_axes((0.1, 0.2, 0.87, 0.65))
    axes.bar(range(len(counts)), counts, color=BLUE, width=0.8)
    axes.set_xticks(range(0, len(counts), max(1, len(counts) // 12)))
    axes.yaxis.get_major_locator().set_params(integer=True)
    plain_axes(axes, f"{assignment.name}: {len(found)} submissions", "points", "students")
    return picture
