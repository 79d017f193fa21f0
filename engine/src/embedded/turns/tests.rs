use std::sync::mpsc;
use std::thread;

use super::*;

/// The longest wait for something that must come.
const SOON: Duration = Duration::from_secs(10);

/// How long others wait for a request that is quick.
const PATIENCE: Duration = Duration::from_millis(1);

struct Closed<'t>(&'t Turns<u32, Option<u32>>);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.close(SOON);
        assert!(self.0.lock().helpers == 0 || thread::panicking());
    }
}

/// Runs `body` beside an executor, which adds one to a number, and a watch.
fn with_helpers(body: impl FnOnce(&Turns<u32, Option<u32>>)) {
    let turns = Turns::new();
    thread::scope(|scope| {
        turns.join_watch();
        scope.spawn(|| {
            let mut idle = 0;
            while turns.look(&mut idle) {}
        });
        turns.join();
        scope.spawn(|| {
            while let Some(turn) = turns.wait() {
                while let Some((job, mut taken)) = turn.next() {
                    turn.runs(Patience::Quick);
                    taken.answer = (job > 0).then_some(job + 1);
                }
            }
        });
        // A test that fails must not wait for threads that nobody ends.
        let _closed = Closed(&turns);
        body(&turns);
    });
}

fn turn<'t>(turns: &'t Turns<u32, Option<u32>>) -> Turn<'t, u32, Option<u32>> {
    match turns.enter() {
        Entry::Turn(turn) => turn,
        _ => panic!("nobody runs"),
    }
}

/// What becomes of a job that has to wait.
#[derive(Debug, PartialEq)]
enum End {
    Answer(Option<u32>),
    Own(u32),
    Back(u32),
}

fn wait(turns: &Turns<u32, Option<u32>>, job: u32) -> End {
    let Entry::Queue(queue) = turns.enter() else { panic!("somebody runs, and there is a watch") };
    match queue.wait(job) {
        Waited::Answered(answer) => End::Answer(answer),
        Waited::Turn(_turn, job) => End::Own(job),
        Waited::Beside(job) => End::Back(job),
    }
}

#[test]
fn without_a_watch_nobody_waits() {
    let turns = Turns::<u32, Option<u32>>::new();
    let running = turn(&turns);
    assert!(matches!(turns.enter(), Entry::Beside));
    drop(running);
    drop(turn(&turns));
}

#[test]
fn an_executor_serves_many_who_have_waited_and_few_have_their_turns() {
    with_helpers(|turns| {
        for (number, is_served) in [(MANY as u32, true), (MANY as u32 - 1, false)] {
            let running = turn(turns);
            thread::scope(|scope| {
                let others: Vec<_> = (1..=number).map(|job| scope.spawn(move || (job, wait(turns, job)))).collect();
                while turns.lock().waiting.len() < number as usize {
                    thread::yield_now();
                }
                drop(running);
                for other in others {
                    let (job, end) = other.join().unwrap();
                    assert_eq!(end, if is_served { End::Answer(Some(job + 1)) } else { End::Own(job) });
                }
            });
            while turns.lock().taken {
                thread::yield_now();
            }
        }
    });
}

#[test]
fn who_waits_for_a_job_that_panics_gets_no_answer() {
    with_helpers(|turns| {
        let running = turn(turns);
        thread::scope(|scope| {
            let others: Vec<_> = (0..MANY).map(|_| scope.spawn(|| wait(turns, 0))).collect();
            while turns.lock().waiting.len() < MANY {
                thread::yield_now();
            }
            drop(running);
            others.into_iter().for_each(|other| assert_eq!(other.join().unwrap(), End::Answer(None)));
        });
    });
}

#[test]
fn nobody_waits_for_one_who_is_held_up() {
    with_helpers(|turns| {
        // Also when the watch has gone to sleep meanwhile.
        for pause in [Duration::ZERO, 10 * PATIENCE] {
            thread::sleep(pause);
            let running = turn(turns);
            let (sent, answer) = mpsc::channel();
            thread::scope(|scope| {
                scope.spawn(move || sent.send(wait(turns, 7)));
                while turns.lock().waiting.is_empty() {
                    thread::yield_now();
                }
                running.runs(Patience::Quick);
                assert_eq!(
                    answer.recv_timeout(SOON),
                    Ok(End::Back(7)),
                    "it gets its job back while the other one runs"
                );
            });
            // The turn is free, and the one who is held up gives no other's away.
            let next = turn(turns);
            drop(running);
            assert!(matches!(turns.enter(), Entry::Queue(_)));
            drop(next);
        }
    });
}

#[test]
fn behind_one_that_computes_for_long_they_go_on_one_by_one() {
    with_helpers(|turns| {
        let running = turn(turns);
        thread::scope(|scope| {
            let others: Vec<_> = (1..MANY as u32).map(|job| scope.spawn(move || wait(turns, job))).collect();
            while turns.lock().waiting.len() < others.len() {
                thread::yield_now();
            }
            running.runs(Patience::Computing);
            let mut ends: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
            ends.sort_by_key(|end| format!("{end:?}"));
            assert_eq!(ends, (1..MANY as u32).map(End::Own).collect::<Vec<_>>());
        });
        drop(running);
        assert!(!turns.lock().taken);
    });
}

#[test]
fn who_finds_one_who_is_held_up_takes_the_turn() {
    let turns = Turns::<u32, Option<u32>>::new();
    let held_up = turn(&turns);
    held_up.runs(Patience::Quick);
    thread::sleep(2 * PATIENCE);
    let next = turn(&turns);
    drop(held_up);
    assert!(turns.lock().taken);
    drop(next);
    assert!(!turns.lock().taken);
}

#[test]
fn who_waits_for_the_gil_holds_nobody_up() {
    let turns = Turns::<u32, Option<u32>>::new();
    let waits = turn(&turns);
    thread::sleep(2 * PATIENCE);
    assert!(matches!(turns.enter(), Entry::Beside));
    drop(waits);
}
