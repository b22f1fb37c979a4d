"""The instructor's guide keeps its promises: its tables, its workflow and its examples."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from classroom_class import checked

from tinydni.classroom import assignment as assignments
from tinydni.classroom.command import COMMANDS
from tinydni.classroom.progress import told
from tinydni.classroom.trial import PUBLIC

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
        assert (f"command: tinydni assignment check {task.name}, timeout: 2, max-score: "
                f"{task.points}}}" in workflow)
        assert f'{step.upper()}_RESULTS: "${{{{steps.{step}.outputs.result}}}}"' in workflow
    assert workflow.count("- id:") == len(found.tasks)


def test_the_message_shown_is_the_message_given():
    right = "        self.block.update(self.lr)\n        return"
    wrong = right.replace("return", "dx = self.block.backward(delta_hat / len(x))\n        return")
    text = assignments.load("A3").source.replace(right, wrong)
    shown = "\n".join(f"    {line}" for line in told(checked("A3.3", text, PUBLIC)).splitlines())
    assert shown in GUIDE, shown


def test_every_option_of_grade_is_in_the_guide():
    import argparse
    parser = argparse.ArgumentParser()
    {name: command for name, _, command in COMMANDS}["grade"].add_arguments(parser)
    for option in parser._option_string_actions:
        assert option in ("-h", "--help") or option in GUIDE, option


def test_the_container_recipe_is_short_and_shown():
    recipe = (Path(assignments.__file__).with_name("Dockerfile")).read_text()
    assert len(recipe.splitlines()) <= 15 and recipe.strip() in GUIDE


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_pytest_examples_pass_for_right_and_fail_for_wrong_solutions(number, tmp_path):
    assignment = assignments.load("A1")
    (tmp_path / "test_it.py").write_text(block(f"pytest {number}"))
    wrong = {"self.x.T @ dy": "-self.x.T @ dy", "dy * self.y * (1 - self.y)": "dy * self.y",
             "(self.p - onehot)": "self.p"}
    text = assignment.source
    for good, bad in wrong.items():
        assert text.count(good) == 1
        text = text.replace(good, bad)
    for source, code in ((assignment.source, 0), (text, 1)):
        (tmp_path / "solution.py").write_text(source)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                               "test_it.py"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code, done.stdout
