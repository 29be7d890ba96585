"""What projects decide at the gate: a grant may be for some projects, a project for some services."""

import pytest

from shared.access.models import Project
from shared.kernel.errors import Problem
from tests.support.embedded import Embedded, api_key


async def call(embedded: Embedded, reference: str = "maps") -> str:
    gate = embedded.gate()
    try:
        await gate.admit(await gate.identify(embedded.key), reference, forwarding=True)
    except Problem as problem:
        return f"{problem.status} {problem.code}"
    return "ok"


async def prepare(
    embedded: Embedded, key_of: str | None, grant_for: tuple[str, ...], services: tuple[str, ...]
) -> None:
    await embedded.builder.put(Project(id="prj_1", consumer_id="con_1", name="One", service_ids=services))
    await embedded.builder.grant(project_ids=grant_for)
    await embedded.builder.put(api_key(embedded.key, project_id=key_of))


REFUSED = "403 service_not_granted"


@pytest.mark.parametrize(
    ("key_of", "grant_for", "services", "expected"),
    [
        (None, (), (), "ok"),
        (None, (), ("svc_other",), "ok"),
        (None, ("prj_1",), (), REFUSED),
        ("prj_1", (), (), "ok"),
        ("prj_1", ("prj_1",), (), "ok"),
        ("prj_1", ("prj_2", "prj_1"), (), "ok"),
        ("prj_1", ("prj_2",), (), REFUSED),
        ("prj_1", (), ("svc_maps",), "ok"),
        ("prj_1", (), ("svc_other",), REFUSED),
        ("prj_1", ("prj_1",), ("svc_other",), REFUSED),
        ("prj_1", ("prj_2",), ("svc_maps",), REFUSED),
        ("prj_gone", (), (), REFUSED),
        ("prj_gone", ("prj_gone",), (), REFUSED),
    ],
)
async def test_both_sides_must_agree(
    embedded: Embedded, key_of: str | None, grant_for: tuple[str, ...], services: tuple[str, ...], expected: str
) -> None:
    await prepare(embedded, key_of, grant_for, services)
    assert await call(embedded) == expected


async def test_another_consumers_project_of_the_same_id_does_not_count(embedded: Embedded) -> None:
    await embedded.builder.put(Project(id="prj_2", consumer_id="con_2", name="Theirs"))
    await embedded.builder.put(api_key(embedded.key, project_id="prj_2"))
    assert await call(embedded) == REFUSED


async def test_a_change_of_the_project_holds_at_once_here_and_after_the_cache_time_elsewhere(
    embedded: Embedded,
) -> None:
    await prepare(embedded, "prj_1", (), ())
    here, elsewhere = embedded.gate(), embedded.gate(documents=embedded.documents)
    holder = await here.identify(embedded.key)
    for gate in (here, elsewhere):
        await gate.admit(holder, "maps", forwarding=True)
    narrow = Project(id="prj_1", consumer_id="con_1", name="One", service_ids=("svc_other",))
    await embedded.builder.put(narrow)

    with pytest.raises(Problem):
        await here.admit(holder, "maps", forwarding=True)
    await elsewhere.admit(holder, "maps", forwarding=True)
    embedded.time.passes(seconds=1)
    with pytest.raises(Problem):
        await elsewhere.admit(holder, "maps", forwarding=True)


async def test_a_restriction_by_the_merchant_is_told_to_those_who_are_granted_only(embedded: Embedded) -> None:
    await embedded.builder.service()
    await prepare(embedded, "prj_1", ("prj_2",), ())
    grant = await embedded.access.grant("con_1", "svc_maps")
    assert grant is not None
    await embedded.builder.put(grant.model_copy(update={"restricted": True}))
    assert await call(embedded) == REFUSED
