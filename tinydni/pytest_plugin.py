"""A pytest fixture for gradient checks. pytest finds it where the library is installed."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def assert_gradients() -> Callable[..., None]:
    """Give `tinydni.gradcheck.assert_gradients`; where it fails, pytest shows the report only."""
    from tinydni import gradcheck

    def assert_gradients(thing: Any, *inputs: Any, **options: Any) -> None:
        __tracebackhide__ = True
        try:
            gradcheck.assert_gradients(thing, *inputs, **options)
        except gradcheck.GradientError as error:
            raise error.with_traceback(None) from None

    return assert_gradients
