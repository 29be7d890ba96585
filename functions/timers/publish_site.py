"""The static site: bring it into line with what is offered, and write the sitemap."""

import azure.functions as func

from shared.bootstrap import application

blueprint = func.Blueprint()


@blueprint.function_name("publish_site")
@blueprint.timer_trigger(arg_name="timer", schedule="0 7 * * * *", run_on_startup=False, use_monitor=False)
async def publish_site(timer: func.TimerRequest) -> None:
    """Run at 7 minutes past every hour: bring the whole static site up to date. Single pages are written when they
    change; running twice changes nothing."""
    await application().catalog.publisher.publish_site()
