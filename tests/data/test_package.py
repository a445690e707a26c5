"""The package from outside: light to import, whole in what it names."""

import subprocess
import sys

import sqa_data


def test_every_public_name_is_there() -> None:
    assert set(sqa_data._HOMES) | {"AudioError", "DataError"} == set(sqa_data.__all__) == set(dir(sqa_data))
    assert sqa_data.__all__ == sorted(sqa_data.__all__)
    for name in sqa_data.__all__:
        assert getattr(sqa_data, name).__name__ == name


def test_lists_and_audio_load_no_heavy_library() -> None:
    """sqa-model stands on these, and `import sqa_model` is to stay light."""
    code = (
        "import sys, sqa_data\n"
        "assert not {'numpy', 'orjson', 'soundfile'} & sys.modules.keys()\n"
        "import sqa_data.audio, sqa_data.manifest, sqa_data.shares, sqa_data.ids, sqa_data.atomic\n"
        "heavy = {'torch', 'pyarrow', 'huggingface_hub', 'httpx2', 'scipy', 'filelock', 'python_calamine'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
