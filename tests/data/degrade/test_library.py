"""Shared libraries: used as declared, and absent in words."""

import ctypes
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from sqa_data.degrade.library import Library, held
from sqa_data.errors import DataError

ABS = (ctypes.c_int, ctypes.c_int)


def test_a_call_is_made_as_it_is_declared() -> None:
    library = Library("libc6", ("libnowhere.so.9", "libc.so.6", "libSystem.dylib"), {"abs": ABS})
    assert library.missing() is None
    assert library.open().abs(-7) == 7
    with pytest.raises(ctypes.ArgumentError):
        library.open().abs(b"not a number")


def test_what_is_absent_is_said_with_what_to_install() -> None:
    nowhere = Library("libnowhere9", ("libnowhere.so.9", "libnowhere.so.8"), {})
    assert nowhere.missing() == "needs libnowhere.so.9 or libnowhere.so.8: apt-get install libnowhere9"
    older = Library("libc6", ("libc.so.6", "libSystem.dylib"), {"abs": ABS, "not_there": (None,)})
    assert "has no not_there" in str(older.missing())
    for library in (nowhere, older):
        with pytest.raises(DataError, match=library.package):
            library.open()


def test_a_library_of_a_python_package_is_a_file_in_it() -> None:
    carried = Library("np", ("libnowhere.so",), {}, module="numpy")
    assert carried.path("libnowhere.so") == str(Path(np.__file__).parent / "libnowhere.so")
    absent = Library("not-there", ("libnowhere.so",), {}, module="not_there")
    for library, reason in (
        (carried, "needs numpy: pip install np"),
        (absent, "needs not_there: pip install not-there"),
    ):
        assert library.missing() == reason
        with pytest.raises(DataError, match=reason):
            library.open()
    with pytest.raises(DataError, match="not-there"):
        absent.path("weights")


def test_a_state_is_freed_whatever_happens() -> None:
    freed: list[int] = []
    with suppress(KeyError), held(5, freed.append) as state:
        assert not freed
        raise KeyError(state)
    assert freed == [5]
    with pytest.raises(DataError, match="gave no state"), held(None, freed.append):
        pass
    assert freed == [5]
