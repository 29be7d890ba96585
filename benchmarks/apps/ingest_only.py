"""AMS without its aggregation: what taking in costs when nothing else uses the machine."""

import azure.functions as func

from functions.http import consume, health, metrics

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

for module in (consume, health, metrics):
    app.register_functions(module.blueprint)
