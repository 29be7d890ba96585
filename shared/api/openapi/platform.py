"""Health, metrics and downloads in the document (functions/http/health.py, metrics.py and downloads.py)."""

from typing import Any

from shared.api.openapi.refusals import refusal
from shared.kernel.telemetry import METRICS_CONTENT_TYPE

_STATUS = {"type": "string", "enum": ["pass", "fail"]}
_LIVE = {
    "type": "object",
    "description": "That the process answers.",
    "required": ["status"],
    "properties": {"status": {"const": "pass", "description": "Always `pass`."}},
}
_CHECK = {
    "type": "object",
    "description": "Whether one part that consume needs can work.",
    "required": ["status"],
    "properties": {
        "status": {**_STATUS, "description": "Whether the part can work."},
        "reason": {"type": "string", "description": "Why it cannot; absent while it can."},
    },
}
_READY = {
    "type": "object",
    "description": "Whether consume can work, part by part.",
    "required": ["status", "checks"],
    "properties": {
        "status": {**_STATUS, "description": "`fail` as soon as one check fails."},
        "checks": {
            "type": "object",
            "additionalProperties": {"$ref": "#/components/schemas/HealthCheck"},
            "description": "Each part by its name.",
        },
    },
}


def platform_schemas() -> dict[str, Any]:
    return {"HealthLive": _LIVE, "HealthCheck": _CHECK, "HealthReady": _READY}


def platform_paths() -> dict[str, Any]:
    return {
        "/api/downloads/{name}": {"get": _DOWNLOAD},
        "/api/health/live": {"get": _HEALTH_LIVE},
        "/api/health/ready": {"get": _HEALTH_READY},
        "/api/metrics": {"get": _METRICS},
    }


def _get(tag: str, operation_id: str, summary: str, description: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": [tag],
        "operationId": operation_id,
        "summary": summary,
        "description": description,
        "security": [],
        "responses": responses,
    }


def _json(description: str, schema: str, example: object) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    return {"description": description, "content": {"application/json": content}}


def _query(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": True, "schema": {"type": "string"}, "description": description}


_HEALTH_LIVE = _get(
    "health",
    "readLiveness",
    "Is the process alive?",
    "For whoever restarts what hangs. Answers as long as the process answers at all.",
    {"200": _json("It answers.", "HealthLive", {"status": "pass"})},
)
_HEALTH_READY = _get(
    "health",
    "readReadiness",
    "Can consume work?",
    "For load balancers. Every part that consume needs is asked.",
    {
        "200": _json("It can.", "HealthReady", {"status": "pass", "checks": {"documents": {"status": "pass"}}}),
        "503": _json(
            "A part does not work; `reason` says why.",
            "HealthReady",
            {"status": "fail", "checks": {"documents": {"status": "fail", "reason": "no answer"}}},
        ),
    },
)
_METRICS = _get(
    "health",
    "readMetrics",
    "Metrics for Prometheus",
    "Counters and histograms of all processes of this machine, with the stream's lag as it is now.",
    {
        "200": {
            "description": "Prometheus' text exposition.",
            "content": {METRICS_CONTENT_TYPE: {"schema": {"type": "string"}}},
        }
    },
)
_DOWNLOAD = {
    **_get(
        "downloads",
        "downloadDocument",
        "A document by its link",
        "Reports and invoices are downloaded by links that other operations give out, for minutes. Whoever holds one"
        " needs no key and no token. Only served where the blob store has no signed links of its own; those lead"
        " elsewhere.",
        {
            "200": {
                "description": "The document, to be saved under the name that the link says.",
                "headers": {
                    "Content-Disposition": {
                        "description": "Always an attachment, with the file's name.",
                        "schema": {"type": "string"},
                    }
                },
                "content": {"*/*": {"schema": {}}},
            },
            **{status: refusal(status) for status in ("403", "404", "410", "500", "503")},
        },
    ),
    "parameters": [
        {
            "name": "name",
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": "Where the document is kept; it may hold slashes.",
        },
        _query("expires", "Unix time at which the link ends."),
        _query("filename", "Name to save it under."),
        _query("content_type", "What it is."),
        _query("signature", "HMAC-SHA256 over all of the link."),
    ],
}
