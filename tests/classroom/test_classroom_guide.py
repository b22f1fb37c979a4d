"""The instructor's guide keeps its promises: its tables, its workflow and its examples."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tinydni.classroom import assignment as assignments
from tinydni.classroom.examine import examine
from tinydni.classroom.progress import told
from tinydni.classroom.submission import Submission

GUIDE = (Path(__file__).parents[2] / "docs" / "classroom.md").read_text(encoding="utf-8")


def block(marker):
    """The first fenced block after a marker."""
    return re.search(r"```\w*\n(.*?)```", GUIDE[GUIDE.index(f"<!-- {marker} -->"):], re.DOTALL)[1]


def test_every_assignment_is_in_the_table():
    for name in assignments.names():
        assert f"| {name} | {assignments.load(name).title} |" in GUIDE


def test_the_workflow_has_a_step_with_the_right_points_for_every_task():
    workflow, found = block("workflow"), assignments.load("A3")
    for task in found.tasks:
        step = task.name.lower().replace(".", "-")
        assert f"- id: {step}\n" in workflow
        assert f"command: tinydni assignment check {task.name}, timeout: 2, max-score: {task.points}}}" in workflow
        assert f'{step.upper()}_RESULTS: "${{{{steps.{step}.outputs.result}}}}"' in workflow
    assert workflow.count("- id:") == len(found.tasks)


def test_the_message_shown_is_the_message_given(tmp_path):
    assignment = assignments.load("A3")
    right, wrong = "        self.block.update(self.lr)\n        return", "        self.block.update(self.lr)\n" \
        "        dx = self.block.backward(delta_hat / len(x))\n        return"
    (tmp_path / "A3.py").write_text(assignment.source.replace(right, wrong))
    outcome = examine(assignment, assignment.find("A3.3"), Submission(tmp_path, assignment))
    shown = "\n".join(f"    {line}" for line in told(outcome).splitlines())
    assert shown in GUIDE


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_pytest_examples_pass_for_right_and_fail_for_wrong_solutions(number, tmp_path):
    assignment = assignments.load("A1")
    (tmp_path / "test_it.py").write_text(block(f"pytest {number}"))
    wrong = {"self.x.T @ dy": "-self.x.T @ dy", "dy * self.y * (1 - self.y)": "dy * self.y", "(self.p - onehot)": "self.p"}
    text = assignment.source
    for good, bad in wrong.items():
        assert text.count(good) == 1
        text = text.replace(good, bad)
    for source, code in ((assignment.source, 0), (text, 1)):
        (tmp_path / "solution.py").write_text(source)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"], cwd=tmp_path,
                              capture_output=True, text=True)
        assert done.returncode == code, done.stdout
