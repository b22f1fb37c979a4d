"""The classroom: assignments that one command hands out and another one grades."""

from typing import Any


def check(task: str) -> None:
    """Check a task such as "A1.2" of the folder one is in, as `tinydni assignment check` does."""
    from tinydni.classroom import progress
    progress.check(task)


def assert_task(task: str, namespace: dict[str, Any]) -> float | None:
    """Raise AssertionError, with what is wrong, unless a task in `namespace` passes its checks.

    namespace: such as globals(). Returns the points where only a part is right.
    """
    from tinydni.classroom import progress
    return progress.assert_task(task, namespace)


def use_reference(task: str) -> Any:
    """Return the reference solution of a task, to go on with: Linear = use_reference("A1.2").

    The grade shows it.
    """
    from tinydni.classroom import assignment
    found, one = assignment.load_task(task)
    return getattr(found.reference, one.target)
