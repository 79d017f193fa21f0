//! Every rule of [`super`] on invented states and times.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn group(name: &str, processes: usize) -> Group<'_> {
    Group { name: name.as_bytes(), processes, service: false, not_before: None, replace_not_before: None }
}

fn process(slot: usize, generation: u32, phase: Phase, since: Instant) -> Process<'static> {
    let limits = TimeLimits::new(0, 15, 5);
    Process {
        slot,
        group: b"g",
        generation,
        service: false,
        phase,
        since,
        retiring: false,
        holds: false,
        patient: false,
        by_itself: false,
        limits,
    }
}

fn run<'a>(generation: u32, groups: &'a [Group<'a>], since: Instant) -> Goal<'a> {
    Goal::Run { generation, parallel: 2, since, groups }
}

const STARTING: Phase = Phase::Starting { reported: true };

fn actions(goal: Goal<'_>, processes: &[Process<'_>], now: Instant) -> Vec<Action> {
    decide(goal, processes, now).0
}

#[test]
fn a_group_gets_all_its_processes_at_once() {
    let now = Instant::now();
    let groups = [group("g", 3), group("h", 1)];
    let goal = run(1, &groups, now);
    let expected = [Action::Start(0), Action::Start(0), Action::Start(0), Action::Start(1)];
    assert_eq!(actions(goal, &[], now), expected);
    let running = [process(0, 1, STARTING, now), process(1, 1, Phase::Ready, now)];
    assert_eq!(actions(goal, &running, now), [Action::Start(0), Action::Start(1)]);
}

#[test]
fn a_process_without_a_limit_is_killed_all_the_same_when_the_server_has_waited_for_long_enough() {
    let stop = SECOND * wsgi_wire::limits::STOP;
    let limits = TimeLimits::new(0, 0, 0);
    let now = Instant::now();
    let stopping = |since| [Process { limits, ..process(0, 1, Phase::Stopping, since) }];
    let millisecond = Duration::from_millis(1);
    assert_eq!(actions(Goal::Stop, &stopping(now), now + stop - millisecond), []);
    assert!(!actions(Goal::Stop, &stopping(now), now + stop).is_empty());
}

#[test]
fn a_process_on_its_way_out_is_replaced_before_it_ends() {
    let now = Instant::now();
    let groups = [group("g", 1)];
    for phase in [Phase::Draining, Phase::Stopping, Phase::TakingStacks, Phase::Killed] {
        let goal = run(1, &groups, now);
        assert_eq!(actions(goal, &[process(0, 1, phase, now)], now), [Action::Start(0)], "{phase:?}");
    }
}

#[test]
fn processes_that_leave_by_themselves_take_room() {
    let now = Instant::now();
    let leaving = |slot| Process { by_itself: true, ..process(slot, 1, Phase::Draining, now) };
    for (processes, max) in [(1, 3usize), (2, 4), (5, 10)] {
        let groups = [group("g", processes)];
        let started = |gone: usize| {
            let all: Vec<_> = (0..gone).map(leaving).collect();
            actions(run(1, &groups, now), &all, now).len()
        };
        let expected: Vec<usize> = (0..=max + 1).map(|gone| processes.min(max.saturating_sub(gone))).collect();
        assert_eq!((0..=max + 1).map(started).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn the_slots_are_not_for_those_who_never_end_after_graceful_restarts() {
    let now = Instant::now();
    let groups = [group("g", 1)];
    let patient =
        |slot: usize| Process { patient: true, ..process(slot, 1, Phase::Draining, now - SECOND * (20 - slot as u32)) };
    let mut all: Vec<_> = (0..10).map(patient).collect();
    all.push(process(10, 2, Phase::Ready, now));
    let stop = |slot| Action::Stop(slot, Cause::SlowDrain);
    assert_eq!(actions(run(2, &groups, now), &all, now), [stop(0), stop(1)], "the oldest ones");
}

#[test]
fn a_failing_group_waits() {
    let now = Instant::now();
    let groups = [Group { not_before: Some(now + SECOND), ..group("g", 1) }];
    let goal = run(1, &groups, now);
    assert_eq!(decide(goal, &[], now), (vec![], Some(now + SECOND)));
    assert_eq!(actions(goal, &[], now + SECOND), [Action::Start(0)]);
}

#[test]
fn a_new_configuration_replaces_one_process_after_the_other() {
    let now = Instant::now();
    let groups = [group("g", 2)];
    let goal = run(2, &groups, now);
    let mut all = vec![process(0, 1, Phase::Ready, now), process(1, 1, Phase::Ready, now - SECOND)];
    assert_eq!(actions(goal, &all, now), [Action::Start(0)]);
    all.push(process(2, 2, STARTING, now));
    assert_eq!(actions(goal, &all, now), []);
    all[2].phase = Phase::Ready;
    assert_eq!(actions(goal, &all, now), [Action::Start(0), Action::Drain(1)], "the oldest goes first");
    all[1].phase = Phase::Draining;
    all.push(process(3, 2, STARTING, now));
    assert_eq!(actions(goal, &all, now), []);
    all[3].phase = Phase::Ready;
    assert_eq!(actions(goal, &all, now), [Action::Drain(0)]);
}

#[test]
fn a_new_configuration_with_more_processes_gets_them_at_once() {
    let now = Instant::now();
    let groups = [group("g", 3)];
    let goal = run(2, &groups, now);
    assert_eq!(actions(goal, &[process(0, 1, Phase::Ready, now)], now), [Action::Start(0), Action::Start(0)]);
}

#[test]
fn a_process_that_asks_to_be_replaced_serves_until_its_successor_is_ready() {
    let now = Instant::now();
    let groups = [group("g", 1)];
    let goal = run(1, &groups, now);
    let mut all = vec![Process { retiring: true, ..process(0, 1, Phase::Ready, now) }];
    assert_eq!(actions(goal, &all, now), [Action::Start(0)]);
    all.push(process(1, 1, STARTING, now));
    assert_eq!(actions(goal, &all, now), []);
    all[1].phase = Phase::Ready;
    assert_eq!(actions(goal, &all, now), [Action::Drain(0)]);
}

#[test]
fn a_successor_that_could_not_take_over_is_tried_again_later() {
    let now = Instant::now();
    let groups = [Group { replace_not_before: Some(now + SECOND), ..group("g", 1) }];
    let goal = run(1, &groups, now);
    let retiring = Process { retiring: true, ..process(0, 1, Phase::Ready, now) };
    assert_eq!(decide(goal, &[retiring], now), (vec![], Some(now + SECOND)));
    assert_eq!(actions(goal, &[retiring], now + SECOND), [Action::Start(0)]);
    assert_eq!(actions(goal, &[], now), [Action::Start(0)], "without a process to serve, any is better than none");
}

#[test]
fn processes_that_hold_their_requests_are_replaced_as_fast_as_the_machine_can() {
    let now = Instant::now();
    let groups = [group("g", 4)];
    let goal = run(1, &groups, now);
    let held = |slot| Process { retiring: true, holds: true, ..process(slot, 1, Phase::Ready, now) };
    let mut all = vec![held(0), held(1), held(2), held(3)];
    assert_eq!(actions(goal, &all, now), [Action::Start(0), Action::Start(0)]);
    all.extend([process(4, 1, Phase::Ready, now), process(5, 1, STARTING, now)]);
    let expected = [Action::Start(0), Action::Drain(0), Action::Drain(1), Action::Drain(2), Action::Drain(3)];
    assert_eq!(actions(goal, &all, now), expected, "one that is ready relieves all that hold");
}

#[test]
fn who_cannot_load_its_scripts_serves_only_where_nobody_else_does() {
    assert!(admits(false, true) && admits(false, false) && admits(true, false));
    assert!(!admits(true, true));
}

#[test]
fn an_old_process_that_is_not_ready_is_stopped_at_once() {
    let now = Instant::now();
    let groups = [group("g", 1)];
    let goal = run(2, &groups, now);
    assert_eq!(
        actions(goal, &[process(0, 1, STARTING, now)], now),
        [Action::Stop(0, Cause::NotNeeded), Action::Start(0)]
    );
}

#[test]
fn processes_of_a_removed_group_are_drained_and_not_replaced() {
    let now = Instant::now();
    let goal = run(2, &[], now);
    let ready = [process(0, 1, Phase::Ready, now)];
    assert_eq!(decide(goal, &ready, now), (vec![], Some(now + LINGER)), "Apache's old children may still use it");
    assert_eq!(actions(goal, &ready, now + LINGER), [Action::Drain(0)]);
    assert_eq!(actions(goal, &[process(0, 1, Phase::Draining, now)], now), []);
}

#[test]
fn who_takes_too_long_is_stopped_and_then_killed() {
    let now = Instant::now();
    let draining = [process(0, 1, Phase::Draining, now)];
    let goal = run(1, &[], now);
    let limit = now + SECOND * (15 + 5 + 1);
    assert_eq!(decide(goal, &draining, now), (vec![], Some(limit)));
    assert_eq!(actions(goal, &draining, limit), [Action::Stop(0, Cause::SlowDrain)]);
    let stopping = [process(0, 1, Phase::Stopping, now)];
    assert_eq!(actions(goal, &stopping, now + SECOND * 5), []);
    assert_eq!(actions(goal, &stopping, now + SECOND * 6), [Action::TakeStacks(0)]);
    let writing = [process(0, 1, Phase::TakingStacks, now)];
    assert_eq!(decide(goal, &writing, now), (vec![], Some(now + WRITING)), "nobody else waits meanwhile");
    assert_eq!(actions(goal, &writing, now + WRITING), [Action::Kill(0)]);
}

#[test]
fn who_drains_patiently_is_left_to_itself() {
    let now = Instant::now();
    let draining = [Process { patient: true, ..process(0, 1, Phase::Draining, now) }];
    assert_eq!(decide(run(2, &[], now), &draining, now + SECOND * 100), (vec![], None));
    assert_eq!(actions(Goal::Stop, &draining, now), [Action::Stop(0, Cause::NotNeeded)]);
}

#[test]
fn a_start_without_a_limit_is_reported_and_one_with_a_limit_is_ended() {
    let now = Instant::now();
    let groups = [group("g", 1)];
    let goal = run(1, &groups, now);
    let mut all = [process(0, 1, Phase::Starting { reported: false }, now)];
    assert_eq!(decide(goal, &all, now), (vec![], Some(now + SLOW_START)));
    assert_eq!(actions(goal, &all, now + SLOW_START), [Action::ReportSlowStart(0)]);
    all[0].phase = STARTING;
    assert_eq!(decide(goal, &all, now + SLOW_START), (vec![], None));
    all[0].limits = TimeLimits::new(60, 15, 5);
    assert_eq!(actions(goal, &all, now + SECOND * 66), [Action::Stop(0, Cause::SlowStart)]);
}

#[test]
fn stopping_the_server_stops_everything_and_starts_nothing() {
    let now = Instant::now();
    let all = [
        process(0, 1, STARTING, now),
        process(1, 1, Phase::Ready, now),
        process(2, 1, Phase::Draining, now),
        process(3, 1, Phase::Stopping, now),
        process(4, 1, Phase::Killed, now),
    ];
    let (actions, wake) = decide(Goal::Stop, &all, now);
    assert_eq!(
        actions,
        [Action::Stop(0, Cause::NotNeeded), Action::Stop(1, Cause::NotNeeded), Action::Stop(2, Cause::NotNeeded)]
    );
    assert_eq!(wake, Some(now + SECOND * 6));
}

#[test]
fn no_limit_still_lets_a_server_stop() {
    let limits = TimeLimits::new(0, 0, 0);
    assert_eq!((limits.start, limits.stop), (None, STOP_WAIT));
}

#[test]
fn a_service_never_runs_twice_at_a_time() {
    let now = Instant::now();
    let groups = [Group { service: true, ..group("g", 1) }];
    let goal = run(2, &groups, now);
    let mut old = Process { service: true, ..process(0, 1, STARTING, now) };
    assert_eq!(actions(goal, &[old], now), [Action::Stop(0, Cause::NotNeeded)]);
    old.phase = Phase::Stopping;
    assert_eq!(actions(goal, &[old], now), []);
    assert_eq!(actions(goal, &[], now), [Action::Start(0)]);
    let current = Process { generation: 2, phase: Phase::Starting { reported: false }, ..old };
    assert_eq!(decide(goal, &[current], now), (vec![], None), "a service is never ready");
}
