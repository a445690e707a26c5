"""XML of strangers: what is plain is read as the standard library does, all else is one sentence."""

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sqa_data import DataError
from sqa_data.safe_xml import LARGEST, attribute, read_xml

PLAIN = '<?xml version="1.0" encoding="UTF-8"?>\n<a n="ü &amp; 1"><b/><!-- c --><b m="2">t</b></a>'
BOMB = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]><a n="&y;"/>'


def test_plain_xml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(PLAIN, encoding="utf-8")
    expected = ElementTree.canonicalize(PLAIN)
    assert ElementTree.canonicalize(
        ElementTree.tostring(read_xml(path), encoding="unicode")
    ) == expected.replace("<!-- c -->", "")
    path.write_bytes(b"\xef\xbb\xbf" + PLAIN.encode())
    assert attribute(read_xml(path), "n", path) == "ü & 1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BOMB.encode(), "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>', "document type"),
        (BOMB.encode("utf-16"), "zero byte"),
        (b"<?xml version='1.0' encoding='utf-7'?><a/>", "not XML"),
        (b"<?xml version='1.0' encoding='none-such'?><a/>", "not XML"),
        (b"<a>&x;</a>", "not XML"),
        (b"<a><b></a>", "not XML"),
        (b"", "not XML"),
        (b"\xff\xfe", "not XML"),
        (b"<a>" + b" " * LARGEST + b"</a>", "at most"),
    ],
)
def test_anything_else_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as error:
        read_xml(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.xml")
    with pytest.raises(DataError, match="not a regular file"):
        read_xml(tmp_path / "pipe.xml")


def test_a_missing_attribute_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="<trial> without trialName"):
        attribute(ElementTree.fromstring('<trial trialName=""/>'), "trialName", tmp_path)
