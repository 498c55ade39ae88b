"""Several pieces of work at once: one generator of events, and an end that leaves nothing behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import pytest

from dockersim.registry.client.abreast import abreast

Steps = Generator[str, None, int]


class Works:
    """Pieces of work that note when they begin and end."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.together = 0
        self.most = 0
        self._lock = threading.Lock()

    def count(self, name: str, to: int, meet: threading.Barrier | None = None) -> Steps:
        with self._lock:
            self.together += 1
            self.most = max(self.most, self.together)
        try:
            if meet:
                meet.wait(10)
            for number in range(to):
                yield f"{name}{number}"
            return to
        finally:
            with self._lock:
                self.together -= 1
                self.ended.append(name)


def test_results_come_in_order_and_so_do_the_events_of_each() -> None:
    works = Works()
    steps = abreast([lambda n=n: works.count("abc"[n], n + 1) for n in range(3)], 2)
    seen = []
    with pytest.raises(StopIteration) as end:
        while True:
            seen.append(next(steps))
    assert end.value.value == [1, 2, 3]
    assert sorted(seen) == ["a0", "b0", "b1", "c0", "c1", "c2"]
    assert [one for one in seen if one[0] == "c"] == ["c0", "c1", "c2"]


def test_so_many_are_under_way_at_once_and_no_more() -> None:
    works, meet = Works(), threading.Barrier(3)  # which only three at once get through
    list(abreast([lambda: works.count("x", 5, meet)] * 6, 3))
    assert works.most == 3


def test_nothing_to_do_is_done() -> None:
    assert list(abreast([], 3)) == []


def test_the_first_error_ends_the_others() -> None:
    works, begun = Works(), threading.Event()

    def endless() -> Steps:
        begun.set()
        return (yield from works.count("endless", 10**9))

    def fails() -> Steps:
        begun.wait(10)
        yield "about to"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(abreast([endless, fails, lambda: works.count("never", 1)], 2))
    assert works.ended == ["endless"] and works.together == 0


@pytest.mark.parametrize("how", [GeneratorExit, KeyboardInterrupt], ids=["not listened to", "Ctrl-C"])
def test_who_is_not_listened_to_any_more_ends(how: type[BaseException]) -> None:
    before = set(threading.enumerate())
    works = Works()
    steps = abreast([lambda: works.count("endless", 10**9)] * 2, 2)
    next(steps)
    with pytest.raises(how):
        steps.throw(how())
    assert works.together == 0 and set(works.ended) == {"endless"}
    assert set(threading.enumerate()) <= before


def test_all_who_do_not_end_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockersim.registry.client.abreast._END_SECONDS", 1.0)
    before, over, stuck = set(threading.enumerate()), threading.Event(), threading.Barrier(41)

    def silent() -> Steps:
        stuck.wait()
        over.wait()
        yield "too late"
        return 0

    def fails() -> Steps:
        stuck.wait()
        yield "about to"
        raise ValueError("broken")

    began = time.monotonic()
    with pytest.raises(ValueError, match="broken"):
        list(abreast([fails, *[silent] * 40], 41))
    assert time.monotonic() - began < 20, "one after the other would take 40 seconds"
    over.set()
    for thread in set(threading.enumerate()) - before:
        thread.join()


def test_nobody_runs_far_ahead_of_the_listener() -> None:
    made = []

    def work() -> Steps:
        for number in range(1000):
            made.append(number)
            yield str(number)
        return 0

    steps = abreast([work], 1)
    next(steps)
    assert len(made) < 50
    steps.close()
