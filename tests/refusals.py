"""What a test of bad input asks of the message: what was given, what is expected, how to fix it."""

from collections.abc import Callable

import pytest

from gatework.errors import DataError


def refusal(action: Callable[[], object], kind: type[Exception] = DataError) -> str:
    """The message of the error that `action` raises, which has its three parts: … Expected …. Do this."""
    with pytest.raises(kind) as caught:
        action()
    message = str(caught.value)
    given, _, rest = message.partition("Expected ")
    assert given.strip(), f"says not what was given: {message}"
    assert rest, f"says not what is expected: {message}"
    assert ". " in rest, f"says not how to fix it: {message}"
    assert message.endswith((".", "?")), f"does not end as a sentence: {message}"
    return message
