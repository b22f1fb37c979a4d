"""The pages of a graded assignment: one per student, and a summary for the instructor."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from html import escape
from pathlib import Path
from statistics import mean

from tinydni.classroom import files
from tinydni.classroom.assignment import Assignment, Task
from tinydni.classroom.examine import Outcome
from tinydni.classroom.results import Result, number

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


def write_pages(assignment: Assignment, found: list[Result], folder: str | Path, isolation: str,
                pairs: list[tuple[float, str, str]] | None = None, secret: str = "",
                anonymous: bool = False) -> None:
    """Write index.html and a page per student into a folder, which is made if it does not exist.

    pairs: those that `similar` found    anonymous: codes of the secret stand for the names
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = {id(each): each.code(secret) if anonymous else each.student for each in found}
    codes = {each.student: names[id(each)] for each in found}
    for each in found:
        name = names[id(each)]
        page = student_page(assignment, each, name, isolation)
        files.write_text(folder / f"{file_name(name)}.html", page)
    shown = [(share, codes.get(one, one), codes.get(other, other))
             for share, one, other in pairs or ()]
    page = summary_page(assignment, found, names, isolation, shown, pairs is not None)
    files.write_text(folder / "index.html", page)


def file_name(student: str) -> str:
    """Return the name of a student as that of a file; two students never share one."""
    text = re.sub(r"[^\w.@+-]", lambda match: f"%{ord(match[0]):x}", student)
    long = hashlib.sha256(text.encode()).hexdigest()[:8] if len(text) > 100 else ""
    return f"page-{text[:100]}{long}"


def words(text: str) -> str:
    """Return a sentence for a page: `pieces of code` are shown as such."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def student_page(assignment: Assignment, result: Result, name: str, isolation: str) -> str:
    """Return what was lost and why. The drawn values are not shown."""
    title = escape(f"{assignment.name} {assignment.title}: {name}")
    if not result.outcomes:
        why = "Nothing was handed in." if result.absent else (
            f"Not graded: {words(result.problem)}. Your instructor knows.")
        body = [f"<p class=sum>{why}</p>"]
    else:
        body = [f"<p class=sum><strong>{number(result.total)} of {assignment.points} points"
                "</strong></p>", "<div class=wide><table><tr><th>task<th><th class=n>points"]
        body += [f"<tr><td>{escape(o.task)}<td>{escape(o.title)}<td class=n>{number(o.points)} of "
                 f"{o.most}" for o in result.outcomes]
        body.append("</table></div>")
    extra = [*result.remarks]
    if result.lost:
        extra.append(f"{result.days} days after the deadline: {result.lost:g} points less")
    if extra:
        body.append("<h2>Remarks</h2><ul>" + "".join(f"<li>{words(each)}" for each in extra)
                    + "</ul>")
    body += [lost(outcome) for outcome in result.outcomes if outcome.findings or outcome.notes]
    if result.outcomes:
        read = f" {escape(result.file)}." if result.file else ""
        body.append(
            "<p class=note>Every check ran on values that nobody has seen before; they are not "
            "shown. The same checks, with other values: <code>tinydni assignment check "
            f"{escape(assignment.name)}</code> in your folder.{read}<br>Isolation: "
            f"{escape(isolation)}.</p>")
    return PAGE.format(title=title, body="\n".join(body))


def lost(outcome: Outcome) -> str:
    """Return what a task asks that its solution does not do."""
    items = [f"<li>{words(each.check)}: <span class=lost>{words(each.reason)}</span>"
             for each in outcome.findings] + [f"<li class=note>{words(note)}"
                                              for note in outcome.notes]
    return (f"<h2>{escape(outcome.task)} {escape(outcome.title)}</h2>\n<ul>\n"
            + "\n".join(items) + "\n</ul>")


def summary_page(assignment: Assignment, found: list[Result], names: dict[int, str],
                 isolation: str, pairs: list[tuple[float, str, str]], compared: bool) -> str:
    """Return all students, what was lost in each task and by whom, and the distribution."""
    graded = [each for each in found if each.outcomes]
    average = ""
    if graded:
        points = mean(each.total for each in graded)
        average = f", on average {points:.1f} of {assignment.points} points"
    body = [f"<p>{len(graded)} graded of {len(found)}{average}. "
            f"Isolation: {escape(isolation)}.</p>"]
    undone = [each for each in found if each.problem and not each.absent]
    if undone:
        body.append("<h2>Not graded</h2><ul>" + "".join(
            f"<li>{escape(names[id(each)])}: <span class=lost>{words(each.problem)}</span>"
            for each in undone) + "</ul>")
    body += ["<h2>Points</h2>", histogram(assignment, graded)]
    body += ["<h2>Tasks</h2>", *(statistics(task, number_, graded, names)
                                 for number_, task in enumerate(assignment.tasks))]
    if compared:
        items = "".join(f"<li>{escape(one)} and {escape(other)}: {100 * share:.0f} %"
                        for share, one, other in pairs)
        body.append("<h2>Similar up to names and layout</h2>" + (
            f"<ul>{items}</ul><p class=note>A reason to look, not a proof: short tasks have few "
            "right solutions.</p>" if items else "<p>No pair.</p>"))
    heads = "".join(f"<th class=n>{escape(task.name)}" for task in assignment.tasks)
    rows = "\n".join(row(each, names[id(each)], assignment) for each in found)
    body.append(f"<h2>Students</h2><div class=wide><table><tr><th>student{heads}<th class=n>points"
                f"<th>\n{rows}\n</table></div>")
    return PAGE.format(title=escape(f"{assignment.name} {assignment.title}: grades"),
                       body="\n".join(body))


def row(result: Result, name: str, assignment: Assignment) -> str:
    """Return the row of a student in the summary."""
    link = escape(file_name(name).replace("%", "%25"))
    points = "".join(f"<td class=n>{number(outcome.points)}" for outcome in result.outcomes)
    points = points or "<td>" * len(assignment.tasks)
    changed = f"was {result.changed}" if result.changed != "" else ""
    late = f"{result.days} days late" if result.days else ""
    said = "; ".join(filter(None, (changed, late, "nothing handed in" if result.absent else "")))
    return (f'<tr><td><a href="{link}.html">{escape(name)}</a>{points}'
            f"<td class=n><strong>{result.grade}</strong><td class=note>{said}")


def statistics(task: Task, place: int, graded: list[Result], names: dict[int, str]) -> str:
    """Return how many solved a task, which slip cost others their points, and who they are."""
    outcomes = [(names[id(each)], each.outcomes[place]) for each in graded]
    solved = sum(outcome.passed for _, outcome in outcomes)
    partly = sum(0 < outcome.points < outcome.most for _, outcome in outcomes)
    slips = Counter(each.reason for _, outcome in outcomes for each in outcome.findings[:1])
    items = []
    for reason, count in slips.most_common(8):
        who = [name for name, outcome in outcomes
               if outcome.findings and outcome.findings[0].reason == reason]
        more = f" and {count - 5} more" if count > 5 else ""
        items.append(f"<li>{count} × <span class=lost>{words(reason)}</span> "
                     f"<span class=note>{escape(', '.join(who[:5]))}{more}</span>")
    return (f"<p><strong>{escape(task.name)} {escape(task.title)}</strong>: solved by {solved} of "
            f"{len(graded)}{f', in part by {partly}' if partly else ''}</p>"
            + (f"<ul>{''.join(items)}</ul>" if items else ""))


def histogram(assignment: Assignment, graded: list[Result]) -> str:
    """Return how many students have how many points, as bars."""
    counts = Counter(int(each.total) for each in graded)
    most = max(counts.values(), default=1)
    rows = "".join(f"<tr><td class=n>{n}<td><span class=bar style='width: "
                   f"{18 * counts[n] / most:.2f}em'></span> {counts[n] or ''}"
                   for n in range(assignment.points, -1, -1))
    return f"<table><tr><th class=n>points<th>students{rows}</table>"
