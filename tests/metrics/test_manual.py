"""The examples of the package's README, its manual, give what it shows."""

import doctest
import re
from pathlib import Path


def test_examples_of_the_manual(root: Path) -> None:
    manual = root / "packages" / "sqa-metrics" / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", manual.read_text(encoding="utf-8"), re.DOTALL)
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "manual", str(manual), 0)
    assert len(examples.examples) > len(blocks) > 0
    assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples).failed == 0
