"""Degrade clean speech as rooms, networks and enhancement systems do, with every step seeded and named."""

from sqa_data.errors import DataError

try:
    import scipy.fft
    import scipy.ndimage
    import scipy.signal
    import scipy.special  # noqa: F401  the modules of this package use them
except ImportError as error:
    raise DataError("degrading needs SciPy: pip install 'sqa-data[degrade]'") from error
