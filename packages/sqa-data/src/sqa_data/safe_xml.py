"""Small XML files from strangers: no document type, so no entities of their own; nothing outside; no endless file."""

from pathlib import Path
from xml.etree import ElementTree

from sqa_data.errors import DataError

LARGEST = 1 << 22  # bytes


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file in UTF-8; DataError for anything else, and for a document type."""
    if not path.is_file():
        raise DataError(f"{path}: not a regular file; expected XML")
    if (size := path.stat().st_size) > LARGEST:
        raise DataError(f"{path}: {size:,} bytes; expected XML of at most {LARGEST:,}")
    content = path.read_bytes()
    # UTF-16, in which the next line would not see a document type, is full of zeros
    if b"\0" in content:
        raise DataError(f"{path}: not XML in UTF-8 (a zero byte)")
    if b"<!DOCTYPE" in content:
        raise DataError(f"{path}: has a document type, which may define entities; expected plain XML")
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path}: not XML ({error})") from None


def attribute(element: ElementTree.Element, name: str, path: Path) -> str:
    """An attribute of an element of the file `path`; DataError if it has none or it is empty."""
    value = element.get(name)
    if not value:
        raise DataError(f"{path}: <{element.tag}> without {name}; expected one for each")
    return value
