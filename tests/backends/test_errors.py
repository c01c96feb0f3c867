"""What can go wrong with a backend."""

from proxy.backends.errors import BackendLostError, BackendReplyError


def test_the_code_of_an_error_reply_is_its_first_word() -> None:
    """`OOM command not allowed …` has the code OOM."""
    assert BackendReplyError("OOM command not allowed").code == "OOM"


def test_a_lost_call_may_have_been_sent_unless_it_says_otherwise() -> None:
    """Only who knows that nothing left says so."""
    assert BackendLostError("gone").sent
    assert not BackendLostError("gone", sent=False).sent
