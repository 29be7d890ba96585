"""The least that a consume endpoint could do on this host: read the body, answer 202."""

import azure.functions as func

from functions.http.streaming import body_chunks, streams_body

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.function_name("consume")
@app.route("api/consume", methods=["POST"])
@streams_body
async def consume(req: func.HttpRequest) -> func.HttpResponse:
    """Takes the body as consume does, chunk by chunk, and forgets it."""
    async for _ in body_chunks(req):
        pass
    return func.HttpResponse(status_code=202)


@app.function_name("ready")
@app.route("api/health/ready", methods=["GET"])
async def ready(req: func.HttpRequest) -> func.HttpResponse:
    """200 as soon as the host serves."""
    return func.HttpResponse(status_code=200)
