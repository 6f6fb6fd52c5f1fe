"""BLAS keeps to one thread while tiles are computed, and no lock or limit outlives it, not even over a fork."""

import os
import signal
import threading
from contextlib import suppress

import numpy as np
import pytest
from conftest import blas_threads, random_distributions

from skdiv import pairwise_divergences
from skdiv._utils import blas
from skdiv._utils.blas import one_blas_thread

X = random_distributions(50, 24, zeros=0.1)


def another_within_the_limit():
    """A thread that stays within the limit, the event that it has entered, and that by which it leaves."""
    entered, leave = threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            entered.set()
            leave.wait()

    return threading.Thread(target=other, daemon=True), entered, leave  # a daemon, so that a failure ends the run


def test_the_blas_limit_may_be_nested_and_is_lifted():
    before = blas_threads()
    with one_blas_thread():
        with one_blas_thread():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_the_blas_limit_is_lifted_by_the_last_thread_to_leave():
    before, (thread, entered, leave) = blas_threads(), another_within_the_limit()
    with one_blas_thread():
        thread.start()
        entered.wait()
    assert set(blas_threads()) == {1}
    leave.set()
    thread.join()
    assert blas_threads() == before


def exit_status_of_a_fork(function):
    """0 if the function returns true in a forked process; a hang is ended by its alarm."""
    child = os.fork()
    if not child:
        signal.alarm(10)
        with suppress(BaseException):
            os._exit(0 if function() else 1)
        os._exit(2)
    return os.waitpid(child, 0)[1]


def test_a_process_forked_while_another_thread_computes_has_its_blas_threads():
    before, (thread, entered, leave) = blas_threads(), another_within_the_limit()
    thread.start()
    entered.wait()
    expected = pairwise_divergences(X, metric="kl")

    def computes_as_before():
        same = blas_threads() == before and np.array_equal(pairwise_divergences(X, metric="kl"), expected)
        return same and blas_threads() == before

    assert exit_status_of_a_fork(computes_as_before) == 0
    leave.set()
    thread.join()
    assert blas_threads() == before


@pytest.mark.exhaustive
def test_no_lock_of_ours_is_held_over_a_fork():
    """Another thread enters and leaves as fast as it can, so that some forks would meet it with the lock."""
    stop = threading.Event()

    def other():
        while not stop.is_set():
            with one_blas_thread():
                pass

    thread = threading.Thread(target=other, daemon=True)  # so that a failure ends the run
    thread.start()

    def enters():
        with one_blas_thread():
            return set(blas_threads()) == {1}

    assert [exit_status_of_a_fork(enters) for _ in range(20)] == [0] * 20
    stop.set()
    thread.join()


def test_a_fork_within_a_limit_may_leave_it():
    with one_blas_thread():

        def leaves():
            with one_blas_thread():
                pass
            blas._leave()
            with one_blas_thread():
                return set(blas_threads()) == {1}

        assert exit_status_of_a_fork(leaves) == 0
