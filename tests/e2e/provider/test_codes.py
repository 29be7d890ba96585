"""The development provider's sign-in by e-mail: codes, their limits, and the pages that ask for them."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from scripts.commands.sign_in import SignInRefused
from tests.support.journeys.signing_in import CALL_S, Provider, SignIn, sign_in

WAIT_S = 60.0


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def test_only_a_new_person_is_asked_for_a_name_and_nobody_can_tell_before_the_code(
    provider: Provider, person: SignIn, email: str
) -> None:
    sign_in(provider, email)
    pages = []
    for address in (email, f"new-{email}"):
        with SignIn(provider.issuer) as browser:
            browser.begin()
            browser.ask_code(address)
            page = browser.http.get(f"{browser.interaction}/code").text
            pages.append(page.replace(address, "").replace(browser.interaction.rpartition("/")[2], ""))
            browser.enter_code(provider.code(address))
            assert browser.needs_name == (address != email)
    assert pages[0] == pages[1]


def test_the_message_is_in_the_outbox_and_on_the_console(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    person.ask_code(email)
    code = provider.code(email)

    assert f"code for {email}: {code}\n" in provider.log.read_text()
    # As a whole: six digits also stand in the middle of times and of hashes.
    values = re.findall(r"\w+", (provider.data / "provider" / "state.json").read_text())
    assert code not in values, "codes are stored hashed"


def test_a_code_that_was_guessed_wrong_five_times_is_over(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    person.ask_code(email)
    code = provider.code(email)
    for attempt in range(5):
        with pytest.raises(SignInRefused, match="not the code" if attempt < 4 else "does not work any more"):
            person.enter_code(wrong(code))

    with pytest.raises(SignInRefused, match="does not work any more"):
        person.enter_code(code)
    person.ask_code(email)
    person.enter_code(provider.code(email))
    assert person.needs_name


def test_parallel_guesses_are_counted_one_by_one(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    person.ask_code(email)
    code = provider.code(email)
    url = f"{person.interaction}/code"
    guesses = [{"code": wrong(code)}] * 20

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda fields: person.http.post(url, data=fields), guesses))

    assert {answer.status_code for answer in answers} == {400}
    assert sum("not the code" in answer.text for answer in answers) == 4
    with pytest.raises(SignInRefused, match="does not work any more"):
        person.enter_code(code)


def test_guessing_over_many_codes_is_stopped(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    for _ in range(4):
        person.ask_code(email)
        for _ in range(5):
            with pytest.raises(SignInRefused):
                person.enter_code(wrong(provider.code(email)))
    person.ask_code(email)

    with pytest.raises(SignInRefused, match="Too many wrong codes") as refused:
        person.enter_code(provider.code(email))
    assert refused.value.status == 429


def test_an_address_gets_five_codes_an_hour_from_wherever(own_provider: Callable[..., Provider], email: str) -> None:
    provider = own_provider()

    def ask() -> None:
        with SignIn(provider.issuer) as person:
            person.begin()
            person.ask_code(email)

    for _ in range(5):
        ask()
    with pytest.raises(SignInRefused, match="Too many codes") as refused:
        ask()
    assert refused.value.status == 429
    provider.stop()
    provider.start()
    with pytest.raises(SignInRefused, match="Too many codes"):
        ask()


def test_one_caller_gets_so_many_codes_an_hour(own_provider: Callable[..., Provider]) -> None:
    provider = own_provider(AMS_PROVIDER_CODES_PER_ADDRESS="3")
    with SignIn(provider.issuer) as person:
        person.begin()
        for number in range(3):
            person.ask_code(f"somebody-{number}@example.com")
        with pytest.raises(SignInRefused, match="Too many codes"):
            person.ask_code("somebody-else@example.com")


def test_a_code_expires(own_provider: Callable[..., Provider], email: str) -> None:
    provider = own_provider(AMS_PROVIDER_CODE_S="1")
    with SignIn(provider.issuer) as person:
        person.begin()
        person.ask_code(email)
        deadline = time.monotonic() + WAIT_S
        while "does not work any more" not in person.http.get(f"{person.interaction}/code").text:
            assert time.monotonic() < deadline, "still valid"
        with pytest.raises(SignInRefused, match="does not work any more"):
            person.enter_code(provider.code(email))


def test_a_code_works_once_and_for_the_browser_that_asked(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    person.ask_code(email)
    code = provider.code(email)
    with SignIn(provider.issuer) as thief:
        thief.begin()
        thief.enter_code(code)
        assert thief.page == thief.interaction, "sent back to the start: it has asked for no code"
        page = thief.http.get(f"{person.interaction}/code")
        assert page.status_code == 400, "another browser's sign-in"
    person.enter_code(code)
    assert person.needs_name

    person.enter_code(code)
    assert person.page == person.interaction


def test_a_code_for_another_browser_is_neither_taken_nor_used_up(provider: Provider, email: str) -> None:
    with SignIn(provider.issuer) as first, SignIn(provider.issuer) as second:
        for browser in (first, second):
            browser.begin()
            browser.ask_code(email)
        for _ in range(6):
            with pytest.raises(SignInRefused, match="does not work any more"):
                first.enter_code(provider.code(email))
        second.enter_code(provider.code(email))
        assert second.needs_name


def test_an_interaction_is_named_by_its_cookie_and_its_address(provider: Provider, person: SignIn) -> None:
    person.begin()
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.http.cookies.jar)
    with SignIn(provider.issuer) as other:
        other.begin()
        crossed = httpx.get(other.interaction, headers={"Cookie": cookies}, timeout=CALL_S)
        own = httpx.get(person.interaction, headers={"Cookie": cookies}, timeout=CALL_S)
    assert (crossed.status_code, own.status_code) == (400, 200)


def test_a_new_code_cancels_the_old_one(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    person.ask_code(email)
    old = provider.code(email)
    while provider.code(email) == old:  # one in a million is the same
        person.ask_code(email)

    with pytest.raises(SignInRefused, match="not the code"):
        person.enter_code(old)
    person.enter_code(provider.code(email))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "ann@example.com, bob@example.com",
        "Ann <ann@example.com>",
        "ann@example.com\r\nBcc: bob@example.com",
        f"{'a' * 250}@example.com",
    ],
)
def test_what_is_no_address_gets_no_mail(provider: Provider, person: SignIn, address: str) -> None:
    before = len(list((provider.data / "mail").glob("*")))
    person.begin()
    with pytest.raises(SignInRefused, match="not an e-mail address"):
        person.ask_code(address)
    assert len(list((provider.data / "mail").glob("*"))) == before


@pytest.mark.parametrize("name", ["", "   ", "\u200b\n"])
def test_a_name_must_have_something_to_show(provider: Provider, person: SignIn, email: str, name: str) -> None:
    person.begin()
    person.ask_code(email)
    person.enter_code(provider.code(email))
    with pytest.raises(SignInRefused, match="enter a name"):
        person.enter_name(name)


def test_what_people_type_is_escaped(provider: Provider, person: SignIn) -> None:
    person.begin()
    answer = person.http.post(f"{person.interaction}/email", data={"email": '"><script>alert(1)</script>'})
    assert "<script" not in answer.text
    assert "&quot;&gt;&lt;script&gt;" in answer.text


def test_whoever_cancels_is_sent_back_with_the_standard_error(person: SignIn) -> None:
    person.begin()
    with pytest.raises(SignInRefused, match="access_denied"):
        person.submit("cancel")
