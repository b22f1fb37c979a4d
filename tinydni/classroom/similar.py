"""Pairs of submissions that are the same up to names and layout, by fingerprints of tokens."""

from __future__ import annotations

import hashlib
import keyword
import re
from itertools import combinations

from tinydni.classroom.assignment import Assignment
from tinydni.classroom.release import released
from tinydni.classroom.submission import Submission, SubmissionError

LENGTH, WINDOW = 10, 4              # tokens of a fingerprint, and fingerprints of which one is kept
TOKEN = re.compile(r'"""(?:.|\n){0,20000}?"""|\'\'\'(?:.|\n){0,20000}?\'\'\'|#[^\n]*|"[^"\n]*"|'
                   r"'[^'\n]*'|[A-Za-z_]\w*|\d[\w.]*|[^\s\w]")
KEPT = set(keyword.kwlist) | {"self"}
PUBLIC = "the public reference"


def fingerprints(text: str) -> set[int]:
    """Return the fingerprints of a text: of every window of its token runs, the smallest hash."""
    tokens = []
    for token in TOKEN.findall(text[:200_000]):
        if token[0].isalpha() or token[0] == "_":
            tokens.append(token if token in KEPT else "n")
        elif token[0] not in "#\"'":
            tokens.append("0" if token[0].isdigit() else token)
    runs = [" ".join(tokens[k:k + LENGTH]) for k in range(max(0, len(tokens) - LENGTH + 1))]
    hashes = [int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest(), "big")
              for run in runs]
    return {min(hashes[k:k + WINDOW]) for k in range(max(1, len(hashes) - WINDOW + 1))
            if hashes[k:k + WINDOW]}


def similar(submissions: dict[str, Submission], assignment: Assignment, least: float = 0.8
            ) -> list[tuple[float, str, str]]:
    """Return (share, one, other) of the pairs that have most fingerprints in common.

    What was released counts for nobody. A short task has one answer, so that right solutions share
    a good part of it; a pair is a reason to look, and no more.
    """
    given = fingerprints(released(assignment))
    prints = {}
    everyone = {**submissions, PUBLIC: Submission("", assignment.source.encode(), assignment)}
    for student, submission in everyone.items():
        text = []
        for task in assignment.tasks:
            try:
                text.append(submission.section(task))
            except SubmissionError:
                pass
        prints[student] = fingerprints("\n".join(text)) - given
    found = []
    for one, other in combinations(prints, 2):
        smaller = min(len(prints[one]), len(prints[other]))
        share = len(prints[one] & prints[other]) / smaller if smaller >= 10 else 0.0
        if share >= least:
            found.append((share, one, other))
    return sorted(found, reverse=True)
