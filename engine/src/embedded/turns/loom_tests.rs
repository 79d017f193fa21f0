//! Each order in which Apache's threads and an executor may run.

use loom::sync::atomic::AtomicBool;
use loom::thread;

use super::*;

/// A request, which adds one to a number.
fn request(turns: &Turns<u32, u32>, running: &AtomicBool) {
    match turns.enter() {
        Entry::Turn(_turn) => run(running),
        Entry::Queue(queue) => match queue.wait(1) {
            Waited::Answered(answer) => assert_eq!(answer, 2),
            Waited::Turn(_turn, job) => {
                assert_eq!(job, 1);
                run(running);
            }
            Waited::Beside(_) => panic!("nobody is held up"),
        },
        Entry::Beside => panic!("there is a watch"),
    }
}

fn run(running: &AtomicBool) {
    assert!(!running.swap(true, Ordering::Relaxed), "two have the turn");
    running.store(false, Ordering::Relaxed);
}

fn execute(turns: &Turns<u32, u32>, running: &AtomicBool) {
    while let Some(turn) = turns.wait() {
        while let Some((job, mut taken)) = turn.next() {
            run(running);
            taken.answer = job + 1;
        }
    }
}

/// An executor serves already when one waits: more threads would be more orders than can be tried.
#[test]
fn loom_each_request_is_answered_once_and_alone() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let shared = Arc::new((Turns::new(), AtomicBool::new(false)));
        shared.0.join();
        shared.0.lock().watched = true;
        let executor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || execute(&shared.0, &shared.1))
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                request(&shared.0, &shared.1);
                request(&shared.0, &shared.1);
            })
        };
        request(&shared.0, &shared.1);
        // A request that nobody runs shows as a deadlock.
        other.join().unwrap();
        shared.0.close(Duration::from_secs(10));
        executor.join().unwrap();
    });
}
