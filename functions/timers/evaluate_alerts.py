"""Alerts: look at every rule."""

import azure.functions as func

from shared.bootstrap import application

blueprint = func.Blueprint()


@blueprint.function_name("evaluate_alerts")
@blueprint.timer_trigger(arg_name="timer", schedule="30 * * * * *", run_on_startup=False, use_monitor=False)
async def evaluate_alerts(timer: func.TimerRequest) -> None:
    """Run every minute: look at every alert rule. A rule fires once in a period, however often this runs."""
    await application().alerts.evaluator.run()
