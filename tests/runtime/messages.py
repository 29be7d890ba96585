"""The host's protocol messages as plain classes: what the worker library builds and reads of FunctionRpc.proto.

This module is passed to the library as its `protos`. As protobuf's own classes do, these take keyword arguments only,
refuse fields that they do not have, and `TypedData` and `RpcHttp` refuse values of another type than the wire's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, ClassVar


class TypedData:
    """One value of one kind, which is the name of the keyword; or none at all."""

    def __init__(self, **kind_and_value: Any) -> None:
        if len(kind_and_value) > 1:
            raise ValueError(f"TypedData holds one kind, not {sorted(kind_and_value)}")
        self.kind: str | None = None
        for kind, value in kind_and_value.items():
            if not isinstance(value, _KINDS[kind]):
                raise TypeError(f"TypedData.{kind} does not hold {type(value).__name__}")
            self.kind = kind
            setattr(self, kind, value)

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 - protobuf's name
        assert group == "data"
        return self.kind


def collection_bytes(items: Sequence[bytes]) -> TypedData:
    """What the host makes of a batch whose binding has the data type binary."""
    return TypedData(collection_bytes=SimpleNamespace(bytes=[bytes(item) for item in items]))


@dataclass(kw_only=True)
class RpcHttp:
    """A request (`method`, `url`, `params` of the route, `query`) or a response (`status_code`)."""

    method: str = ""
    url: str = ""
    status_code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: TypedData | None = None
    cookies: list[Any] | None = None
    enable_content_negotiation: bool = False

    def __post_init__(self) -> None:
        maps = (self.headers, self.params, self.query)
        texts = (
            self.method,
            self.url,
            self.status_code,
            *(part for each in maps for item in each.items() for part in item),
        )
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"text was expected, not {text!r}")


@dataclass(kw_only=True)
class ParameterBinding:
    """One argument of an invocation."""

    name: str
    data: TypedData

    def WhichOneof(self, group: str) -> str:  # noqa: N802 - protobuf's name
        assert group == "rpc_data"
        return "data"


@dataclass(kw_only=True)
class BindingInfo:
    undefined: ClassVar[int] = 0
    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2

    type: str
    data_type: int | None
    direction: int


@dataclass(kw_only=True)
class RpcRetryOptions:
    max_retry_count: int
    retry_strategy: str
    delay_interval: timedelta | None = None
    minimum_interval: timedelta | None = None
    maximum_interval: timedelta | None = None


@dataclass(kw_only=True)
class RpcFunctionMetadata:
    """`raw_bindings` are JSON texts, as they would stand in a function.json."""

    name: str
    function_id: str
    managed_dependency_enabled: bool
    directory: str
    script_file: str
    entry_point: str
    is_proxy: bool
    language: str
    bindings: dict[str, BindingInfo]
    raw_bindings: list[str]
    retry_options: RpcRetryOptions | None
    properties: dict[str, str]


@dataclass(kw_only=True)
class RpcException:
    message: str
    stack_trace: str


@dataclass(kw_only=True)
class StatusResult:
    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1

    status: int
    exception: RpcException | None = None


@dataclass(kw_only=True)
class WorkerMetadata:
    runtime_name: str
    runtime_version: str
    worker_version: str
    worker_bitness: str
    custom_properties: dict[str, str]


@dataclass(kw_only=True)
class WorkerInitResponse:
    capabilities: dict[str, str]
    worker_metadata: WorkerMetadata
    result: StatusResult


@dataclass(kw_only=True)
class FunctionMetadataResponse:
    use_default_metadata_indexing: bool
    function_metadata_results: list[RpcFunctionMetadata] | None
    result: StatusResult


@dataclass(kw_only=True)
class InvocationResponse:
    invocation_id: str
    result: StatusResult
    return_value: TypedData | None = None
    output_data: list[Any] = field(default_factory=list)


_KINDS: dict[str, type] = {
    "string": str,
    "bytes": bytes,
    "json": str,
    "int": int,
    "http": RpcHttp,
    "collection_bytes": SimpleNamespace,
}
