"""Metrics for Prometheus."""

import azure.functions as func

from functions.events.aggregate_usage import CONSUMER_GROUP
from shared.bootstrap import application
from shared.kernel.errors import Unavailable
from shared.kernel.telemetry import METRICS_CONTENT_TYPE, STREAM_LAG_EVENTS, STREAM_LAG_SECONDS, render_metrics

blueprint = func.Blueprint()


@blueprint.function_name("metrics")
@blueprint.route("api/metrics", methods=["GET"])
async def metrics(req: func.HttpRequest) -> func.HttpResponse:
    """Answer the metrics of all processes, in the text format of Prometheus. The lag is measured when it is asked
    for."""
    try:
        lag = await application().ports.events.lag(CONSUMER_GROUP)
    except Unavailable:
        STREAM_LAG_EVENTS.set(float("nan"))
        STREAM_LAG_SECONDS.set(float("nan"))
    else:
        STREAM_LAG_EVENTS.set(lag.events)
        STREAM_LAG_SECONDS.set(lag.seconds)
    return func.HttpResponse(render_metrics(), status_code=200, headers={"Content-Type": METRICS_CONTENT_TYPE})
