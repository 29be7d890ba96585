"""The bases of what the API takes and gives.

An `Input` lists what a caller may write (unknown fields are refused, so role, status or owner cannot be smuggled in), a
`View` what one may see. Stored models do not appear on the wire themselves, but for the parts that are a `StoredView`.

Docstrings of attributes are descriptions in the API's document. Reading them takes time: consume imports none of this.
"""

from pydantic import BaseModel, ConfigDict

from shared.kernel.documents import StoredModel
from shared.kernel.http.fields import Reason


class Input(BaseModel):
    """A request body. Unknown fields are an error that names them."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, use_attribute_docstrings=True)


class DecisionReason(Input):
    """A decision with its reason."""

    reason: Reason


class View(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, use_attribute_docstrings=True)


class StoredView(StoredModel):
    """A part of a stored model that is part of answers as it is."""

    model_config = ConfigDict(use_attribute_docstrings=True)
