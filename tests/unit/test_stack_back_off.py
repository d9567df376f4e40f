from app.stack.processes.back_off import BackOff


def delays(*ready_seconds: float) -> list[float]:
    back_off, found = BackOff(), list[float]()
    for seconds in ready_seconds:
        back_off = back_off.after_exit(seconds)
        found.append(back_off.delay_seconds)
    return found


def test_a_part_that_dies_again_and_again_waits_twice_as_long_each_time_up_to_half_a_minute() -> None:
    assert delays(*[0.0] * 9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_part_that_was_well_for_a_minute_is_restarted_in_half_a_second() -> None:
    assert delays(0, 0, 0, 60, 0) == [0.5, 1, 2, 0.5, 1]


def test_a_part_that_was_well_for_less_than_a_minute_keeps_its_delay_growing() -> None:
    assert delays(0, 59.9) == [0.5, 1]


def test_delays_stay_bounded_however_long_it_goes_on() -> None:
    assert BackOff(failures=100_000).delay_seconds == 30
