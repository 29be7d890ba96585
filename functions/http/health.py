"""Health: is the process alive, and can it do its work?"""

import azure.functions as func
import msgspec

from shared.bootstrap import application

blueprint = func.Blueprint()

_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}


@blueprint.function_name("health_live")
@blueprint.route("api/health/live", methods=["GET"])
async def health_live(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 while the process answers at all."""
    return func.HttpResponse(b'{"status":"pass"}', status_code=200, headers=_HEADERS)


@blueprint.function_name("health_ready")
@blueprint.route("api/health/ready", methods=["GET"])
async def health_ready(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 when consume can work, else 503. Every check is named, with the reason where it fails."""
    reasons = await application().readiness()
    failing = any(reason is not None for reason in reasons.values())
    document = {
        "status": "fail" if failing else "pass",
        "checks": {
            name: {"status": "pass"} if reason is None else {"status": "fail", "reason": reason}
            for name, reason in reasons.items()
        },
    }
    return func.HttpResponse(msgspec.json.encode(document), status_code=503 if failing else 200, headers=_HEADERS)
