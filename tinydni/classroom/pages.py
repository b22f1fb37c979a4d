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

MOST_PAIRS = 100
PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


def write_pages(assignment: Assignment, found: list[Result], folder: str | Path, isolation: str,
                pairs: list[tuple[float, str, str]] | None = None, secret: str = "",
                anonymous: bool = False) -> None:
    """Write index.html and a page per student into a folder, which is made if it does not exist.

    pairs: those that `similar` found    anonymous: codes of the secret stand for the names
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = {each.student: each.code(secret) if anonymous else each.student for each in found}
    shown = [(names[each.student], each) for each in found]
    for name, each in shown:
        write_page(folder / f"{file_name(name)}.html", assignment, name,
                   student_page(assignment, each, isolation))
    body = summary(assignment, shown, isolation)
    if pairs is not None:
        same = [f"{escape(names.get(one, one))} and {escape(names.get(other, other))}: "
                f"{100 * share:.0f} %" for share, one, other in pairs]
        more = [f"and {len(pairs) - MOST_PAIRS} pairs more"] * (len(pairs) > MOST_PAIRS)
        body += ["<h2>Similar up to names and layout</h2>",
                 listed(same[:MOST_PAIRS] + more) or "<p>No pair.</p>",
                 "<p class=note>A reason to look, not a proof: short tasks have few right "
                 "solutions.</p>" * bool(pairs)]
    write_page(folder / "index.html", assignment, "grades", body)


def write_page(path: Path, assignment: Assignment, name: str, body: list[str]) -> None:
    """Write one page under a title."""
    title = escape(f"{assignment.name} {assignment.title}: {name}")
    files.write_text(path, PAGE.format(title=title, body="\n".join(body)))


def file_name(student: str) -> str:
    """Return the name of a student as that of a file; two students never share one."""
    text = re.sub(r"[^\w.@+-]", lambda match: f"%{ord(match[0]):x}", student)
    long = hashlib.sha256(text.encode()).hexdigest()[:8] if len(text) > 100 else ""
    return f"page-{text[:100]}{long}"


def words(text: str) -> str:
    """Return a sentence for a page: `pieces of code` are shown as such."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def lost(text: str) -> str:
    """Return what cost points."""
    return f"<span class=lost>{words(text)}</span>"


def listed(items: list[str]) -> str:
    """Return a list, or nothing."""
    return "<ul>\n" + "\n".join(f"<li>{item}" for item in items) + "\n</ul>" if items else ""


def table(head: str, rows: list[str]) -> str:
    """Return a table, which scrolls where it is too wide; its head is on every printed page."""
    body = "\n".join(f"<tr>{row}" for row in rows)
    return f"<div class=wide><table>\n<thead><tr>{head}\n<tbody>\n{body}\n</table></div>"


def student_page(assignment: Assignment, result: Result, isolation: str) -> list[str]:
    """Return what was lost and why. The drawn values are not shown."""
    if result.absent:
        body = ["<p class=sum>Nothing was handed in.</p>"]
    elif not result.outcomes:
        body = [f"<p class=sum>Not graded: {words(result.problem)}. Your instructor knows.</p>"]
    else:
        body = [f"<p class=sum><strong>{number(result.total)} of {assignment.points} points"
                "</strong></p>", table("<th>task<th><th class=n>points", [
                    f"<td>{escape(each.task)}<td>{escape(each.title)}"
                    f"<td class=n>{number(each.points)} of {each.most}"
                    for each in result.outcomes])]
    remarks = [words(each) for each in result.remarks]
    if result.lost:
        remarks.append(f"{result.late} after the deadline: -{result.lost:g}")
    body += ["<h2>Remarks</h2>" * bool(remarks), listed(remarks)]
    for outcome in result.outcomes:
        items = [f"{words(each.check)}: {lost(each.reason)}" for each in outcome.findings]
        items += [f"<span class=note>{words(note)}</span>" for note in outcome.notes]
        if items:
            body += [f"<h2>{escape(outcome.task)} {escape(outcome.title)}</h2>", listed(items)]
    if result.outcomes:
        read = f" {escape(result.file)}." if result.file else ""
        body.append(
            "<p class=note>Every check ran on values that nobody has seen before; they are not "
            "shown. The same checks, with other values: <code>tinydni assignment check "
            f"{escape(assignment.name)}</code> in your folder.{read}<br>Isolation: "
            f"{escape(isolation)}.</p>")
    return body


def summary(assignment: Assignment, found: list[tuple[str, Result]], isolation: str) -> list[str]:
    """Return all students, what was lost in each task and by whom, and the distribution."""
    graded = [(name, each) for name, each in found if each.outcomes]
    totals = [each.total for _, each in graded]
    average = f", on average {mean(totals):.1f} of {assignment.points} points" if totals else ""
    body = [f"<p>{len(graded)} graded of {len(found)}{average}. "
            f"Isolation: {escape(isolation)}.</p>"]
    undone = [f"{escape(name)}: {lost(each.problem)}" for name, each in found
              if each.problem and not each.absent]
    body += ["<h2>Not graded</h2>" * bool(undone), listed(undone)]
    counts = Counter(map(int, totals))
    most = max(counts.values(), default=1)
    body += ["<h2>Points</h2>", table("<th class=n>points<th>students", [
        f"<td class=n>{n}<td class=bars><span style='width: {75 * counts[n] / most:.0f}%'></span> "
        f"{counts[n] or ''}" for n in range(assignment.points, -1, -1)])]
    body.append("<h2>Tasks</h2>")
    for k, task in enumerate(assignment.tasks):
        body.append(statistics(task, [(name, each.outcomes[k]) for name, each in graded]))
    heads = "".join(f"<th class=n>{escape(task.name)}" for task in assignment.tasks)
    body += ["<h2>Students</h2>", table(f"<th>student{heads}<th class=n>points<th>", [
        row(each, name, assignment) for name, each in found])]
    return body


def row(result: Result, name: str, assignment: Assignment) -> str:
    """Return the row of a student in the summary."""
    link = escape(file_name(name).replace("%", "%25"))
    points = "".join(f"<td class=n>{number(outcome.points)}" for outcome in result.outcomes)
    said = [f"was {number(result.before)}" if result.before is not None else "",
            f"{result.late} late" if result.days else "",
            "nothing handed in" if result.absent else ""]
    return (f'<td><a href="{link}.html">{escape(name)}</a>'
            f"{points or '<td>' * len(assignment.tasks)}<td class=n><strong>{result.grade}</strong>"
            f"<td class=note>{'; '.join(filter(None, said))}")


def statistics(task: Task, outcomes: list[tuple[str, Outcome]]) -> str:
    """Return how many solved a task, which slip cost others their points, and who they are."""
    solved = sum(outcome.passed for _, outcome in outcomes)
    partly = sum(0 < outcome.points < outcome.most for _, outcome in outcomes)
    who: dict[str, list[str]] = {}
    for name, outcome in outcomes:
        if outcome.findings:
            who.setdefault(outcome.findings[0].reason, []).append(name)
    items = [f"{len(names)} × {lost(reason)} <span class=note>{escape(', '.join(names[:5]))}"
             f"{f' and {len(names) - 5} more' if len(names) > 5 else ''}</span>"
             for reason, names in sorted(who.items(), key=lambda each: -len(each[1]))[:8]]
    return (f"<p><strong>{escape(task.name)} {escape(task.title)}</strong>: solved by {solved} of "
            f"{len(outcomes)}{f', in part by {partly}' if partly else ''}</p>{listed(items)}")
