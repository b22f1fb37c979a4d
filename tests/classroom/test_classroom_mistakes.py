"""Mistakes: each loses its part, and is told which it is; one list serves hints and tests."""

import re
from importlib import import_module

import pytest
from classroom_class import SECRET, checked, load, told

from tinydni.classroom import assignment as assignments
from tinydni.classroom.trial import PUBLIC
from tinydni.classroom.variants import with_slip

UNSEEN = import_module("mistakes.unseen").MISTAKES
MANY_VARIANTS = ("A2.4", "A4.3")        # which take seconds to make


def marked(mistakes):
    return [pytest.param(*each, id=f"{each[0]} {each[1]} {each[2][:30]!r}",
                         marks=[pytest.mark.slow] * (each[0] in MANY_VARIANTS))
            for each in mistakes]


SLIPS = [slip for name in assignments.names() for slip in load(name).slips]


def mistaken(task, right, wrong):
    """The instructor's file, wrong in one place."""
    assignment = load(task[:2])
    cell = assignment.find(task).section.cells[-1].source
    return assignment.source.replace(cell, with_slip(f"{cell}\n", right, wrong))


@pytest.mark.parametrize("task, words, right, wrong", marked(SLIPS))
def test_a_known_mistake_loses_points_and_is_named(task, words, right, wrong):
    outcome = checked(task, mistaken(task, right, wrong))
    assert not outcome.passed and words in told(outcome)


@pytest.mark.slow
@pytest.mark.parametrize("task, words, right, wrong", marked(SLIPS))
def test_a_known_mistake_costs_no_other_task(task, words, right, wrong):
    text = mistaken(task, right, wrong)
    others = [each.name for each in load(task[:2]).tasks if each.name != task]
    assert all(checked(other, text, PUBLIC).passed for other in others)


@pytest.mark.parametrize("task, right, wrong, words", marked(UNSEEN))
def test_a_mistake_that_stands_in_no_list_loses_points_and_is_named(task, right, wrong, words):
    outcome = checked(task, mistaken(task, right, wrong))
    assert not outcome.passed
    assert words is None or re.search(words, told(outcome)), told(outcome)


def test_at_least_nine_of_ten_unseen_mistakes_are_named():
    assert len(UNSEEN) >= 77 and sum(words is not None for *_, words in UNSEEN) >= 0.9 * len(UNSEEN)


@pytest.mark.slow
@pytest.mark.parametrize("name", assignments.names())
def test_every_variant_of_the_reference_loses_points_or_is_right(name):
    """Found by the variants themselves: no systematic mistake passes, but what gives the same."""
    from tinydni.classroom.examine import ROUNDS, of_variant
    assignment, passed, all_of_them = load(name), [], 0
    for task in assignment.tasks:
        for number, (words, _) in enumerate(assignment.variants(task)):
            failures = [of_variant(assignment, task, number, check, SECRET, each)
                        for check in task.checks for each in range(ROUNDS)]
            all_of_them += 1
            if not any(failures):
                passed.append(f"{task.name} {words}")
    assert len(passed) < 0.15 * all_of_them, passed


def test_two_mistakes_in_a_task_are_both_named():
    text = mistaken("A1.2", " + self.b", "").replace("dy.sum(axis=0)", "dy.mean(axis=0)")
    said = told(checked("A1.2", text))
    assert "the bias is forgotten" in said and "db is a mean over the batch" in said


def test_a_wrong_reason_is_not_given_by_chance_of_a_draw():
    """Sqrt(1/4) is 1/2: a factor is named only if it is that factor for every draw."""
    said = told(checked("A1.3", mistaken("A1.3", "return dy * self.y * (1 - self.y)",
                                         "return dy * self.y * (1 - self.y) / 2")))
    assert said == "dx is wrong. It is too small by a factor of 2."
    said = told(checked("A1.3", mistaken("A1.3", "return dy * self.y * (1 - self.y)",
                                         "return dy * self.y * (1 - self.y) / len(dy) ** 0.5")))
    assert said == ("dx is wrong. It is too small by a factor of the square root of the batch "
                    "size N.")
    said = told(checked("A1.3", mistaken("A1.3", "return dy * self.y * (1 - self.y)",
                                         "return dy * self.y * (1 - self.y) ** 1.1")))
    assert said == "dx is wrong."
