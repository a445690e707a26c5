"""Worker processes that do not outlive the one that started them."""

import os
import threading
from multiprocessing import parent_process


def end_with_parent() -> None:
    """As the initializer of a pool: its workers end when their parent does, however it ends.

    A parent that was killed with -9 tells nobody, and the workers of a pool would wait for it for ever.
    """
    threading.Thread(target=_end, daemon=True).start()


def _end() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
