"""`/api/v1/consumers/{consumer_id}/projects`: a consumer's projects; `/api/v1/me/projects`: one's own and others'."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, Field

from shared.access.models import Project, ProjectRole
from shared.access.parts import AccessParts
from shared.access.projects.memberships import Memberships
from shared.access.projects.service import Projects
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Identifier, Name, Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import ConsumerId, NextCursor, ProjectId
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View

router = APIRouter(tags=["projects"])

ProjectDescription = Annotated[str, Field(max_length=2_000)]
ProjectServiceIds = Annotated[tuple[Identifier, ...], Field(max_length=1_000)]


class NewProject(Input):
    """A project to create."""

    name: Name
    """Display name."""
    description: ProjectDescription = ""
    """Description for people; empty is none."""
    service_ids: ProjectServiceIds = ()
    """Ids of the services that keys of the project may use; empty is every service that the consumer may use."""


class ProjectChange(Input):
    """A change of a project: only what is given is changed."""

    name: Name | None = None
    """Display name; null or absent leaves it."""
    description: ProjectDescription | None = None
    """Description for people; null or absent leaves it."""
    service_ids: ProjectServiceIds | None = None
    """Ids of all services that keys of the project may use; empty is every service that the consumer may use. Null or
    absent leaves them."""


class ProjectView(View):
    """A project: keys and people of one consumer that belong together."""

    id: ProjectId
    consumer_id: ConsumerId
    name: str
    """Display name."""
    description: str
    """Description for people; empty is none."""
    service_ids: list[str]
    """Ids of the services that keys of the project may use; empty is every service that the consumer may use."""
    created_at: AwareDatetime | None
    """Time of creation; null for seeded projects."""


class ProjectsView(View):
    """A page of projects."""

    items: list[ProjectView]
    """Items of the page."""
    next_cursor: NextCursor


class JoinedProjectView(ProjectView):
    """A project that you own or are a member of."""

    role: ProjectRole | Literal["own"]
    """Your role in the project, or `own` if the consumer is your own."""


class JoinedProjects(View):
    """A page of your projects."""

    items: list[JoinedProjectView]
    """Items of the page."""
    next_cursor: NextCursor


MembershipsPart = Annotated[Memberships, Depends(provided(AccessParts, lambda access: access.memberships))]
ProjectsPart = Annotated[Projects, Depends(provided(AccessParts, lambda access: access.projects))]


@router.get("/me/projects", summary="List your projects")
async def list_joined_projects(
    caller: Annotated[Caller, Depends(allowed("project.list_joined"))],
    memberships: MembershipsPart,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> JoinedProjects:
    """Projects of your own consumer, then projects of others that you are a member of. A page may be short without
    being the last one."""
    page = await memberships.page(caller.account, limit, cursor)
    items = [JoinedProjectView.model_validate({**j.project.model_dump(), "role": j.role}) for j in page.items]
    return JoinedProjects(items=items, next_cursor=page.cursor)


@router.post("/consumers/{consumer_id}/projects", status_code=201, summary="Create a project")
async def create_project(
    caller: Annotated[Caller, Depends(allowed("project.create"))],
    projects: ProjectsPart,
    consumer_id: ConsumerId,
    new: NewProject,
    response: Response,
) -> ProjectView:
    """Create a project. You become its owner."""
    stored = await projects.create(
        caller.actor, caller.account, consumer_id, new.name, new.description, new.service_ids
    )
    return _one(stored, response)


@router.get("/consumers/{consumer_id}/projects", summary="List a consumer's projects")
async def list_projects(
    caller: Annotated[Caller, Depends(allowed("project.list"))],
    projects: ProjectsPart,
    consumer_id: ConsumerId,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> ProjectsView:
    """List all projects of the consumer in the order of their creation."""
    page = await projects.page(consumer_id, limit, cursor)
    items = [ProjectView.model_validate(stored.value.model_dump()) for stored in page.items]
    return ProjectsView(items=items, next_cursor=page.cursor)


@router.get("/consumers/{consumer_id}/projects/{project_id}", summary="Read a project")
async def read_project(
    caller: Annotated[Caller, Depends(allowed("project.read"))],
    projects: ProjectsPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    response: Response,
) -> ProjectView:
    """Read one project."""
    return _one(await projects.read(consumer_id, project_id), response)


@router.patch("/consumers/{consumer_id}/projects/{project_id}", summary="Change a project")
async def update_project(
    caller: Annotated[Caller, Depends(allowed("project.update"))],
    projects: ProjectsPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    change: ProjectChange,
    response: Response,
    if_match: IfMatch = None,
) -> ProjectView:
    """Change the project's name, description, or the services that its keys may use."""
    values: dict[str, Any] = {name: getattr(change, name) for name in change.model_fields_set}
    given = {name: value for name, value in values.items() if value is not None}
    return _one(await projects.update(caller.actor, consumer_id, project_id, given, if_match), response)


@router.delete("/consumers/{consumer_id}/projects/{project_id}", status_code=204, summary="Delete a project")
async def delete_project(
    caller: Annotated[Caller, Depends(allowed("project.delete"))],
    projects: ProjectsPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    if_match: IfMatch = None,
) -> None:
    """Delete the project, after all of its keys are revoked. Members lose access at once; usage remains recorded."""
    await projects.delete(caller.actor, consumer_id, project_id, if_match)


def _one(stored: Stored[Project], response: Response) -> ProjectView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return ProjectView.model_validate(stored.value.model_dump())
