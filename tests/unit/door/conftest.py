"""What the tests of the door share."""

import pytest
import respx


@pytest.fixture
def vendor():
    with respx.mock(assert_all_called=False, using=None) as router:
        yield router
