//! The choice of the process of a group that gets a request.

use super::slot::{Slot, State};
use crate::atomic::AtomicU32;
use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// The kind of process that a request needs, for [`claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A process with a free thread, or one that will have one as soon as another process would be awake.
    Free,
    /// A process that itself says that it has a free thread.
    Idle,
    /// Any process that takes requests, however busy it is.
    Any,
}

/// Claims a process for a request: the ready process of the group with the fewest threads taken for those it has, the
/// first of equals, so that an idle group keeps one process warm. A process whose requests are over in a moment counts
/// as one without any. One more request is counted there, so that children that look at the same moment take different
/// processes. `avoid` are slots that have turned this request away; `now` is as for
/// [`Page::tell_pace`](super::slot::Page::tell_pace). Returns the slot's index.
pub fn claim<'t>(
    slots: impl Iterator<Item = Slot<'t>> + Clone,
    group: u64,
    avoid: &[usize],
    need: Need,
    now: u32,
) -> Option<usize> {
    loop {
        let (_, index, slot, seen, has_room) = slots
            .clone()
            .enumerate()
            .filter(|(i, s)| s.is_of(group) && s.state() == State::Ready && !avoid.contains(i))
            .map(|(i, s)| {
                let (threads, seen) = (s.entry.threads.load(Relaxed).max(1), s.page.in_flight.load(Acquire));
                let taken = if need == Need::Idle { s.page.busy.load(Relaxed) } else { s.taken() };
                let is_quick = need != Need::Idle && s.is_soon_done(taken, now);
                let load = if is_quick { 0 } else { u64::from(taken) * 1024 / u64::from(threads) };
                (load, i, s, seen, is_quick || taken < threads)
            })
            .min_by_key(|(load, ..)| *load)?;
        if need != Need::Any && !has_room {
            return None;
        }
        // First this, so that nobody sees a request in flight that takes no thread: two would then share the last one
        // that is free.
        slot.page.unanswered.fetch_add(1, Relaxed);
        if slot.page.in_flight.compare_exchange(seen, seen.wrapping_add(1), Release, Relaxed).is_ok() {
            return Some(index);
        }
        decrease(&slot.page.unanswered);
    }
}

/// Takes back what [`claim`] counted, unless the slot has another process by now, which counts from zero.
pub fn release(slot: Slot<'_>, serial: u32) {
    less(slot, serial, &slot.page.in_flight);
}

/// Notes that the answer to a request begins, or that there is none.
pub fn answered(slot: Slot<'_>, serial: u32) {
    less(slot, serial, &slot.page.unanswered);
}

fn less(slot: Slot<'_>, serial: u32, counter: &AtomicU32) {
    if slot.entry.serial.load(Relaxed) == serial {
        decrease(counter);
    }
}

fn decrease(counter: &AtomicU32) {
    // Never below zero, whatever happens in between; a failure says that it is zero already. Whoever waits for a thread
    // sees this, or is seen ([`Queue::join`](super::Queue::join)).
    let _ = counter.fetch_update(SeqCst, Relaxed, |n| n.checked_sub(1));
}

/// Each order in which Apache children may run, and each value that a load may see.
#[cfg(all(loom, test))]
mod loom_tests {
    use loom::sync::Arc;

    use super::*;
    use crate::table::slot::{Entry, Page};

    const GROUP_OF_ALL: u64 = 7;

    /// Ready processes with one thread each.
    fn memory(processes: usize) -> Arc<Vec<(Entry, Page)>> {
        let memory: Vec<(Entry, Page)> = (0..processes).map(|_| Default::default()).collect();
        for slot in view(&memory) {
            slot.occupy(GROUP_OF_ALL, 1, 1);
            slot.set_state(State::Ready);
        }
        Arc::new(memory)
    }

    fn view(memory: &[(Entry, Page)]) -> impl Iterator<Item = Slot<'_>> + Clone {
        memory.iter().map(|(entry, page)| Slot { entry, page })
    }

    #[test]
    fn loom_two_children_never_take_the_same_free_thread() {
        loom::model(|| {
            let memory = memory(1);
            let look = |memory: &[(Entry, Page)]| claim(view(memory), GROUP_OF_ALL, &[], Need::Free, 0);
            let theirs = Arc::clone(&memory);
            let other = loom::thread::spawn(move || look(&theirs));
            let found = [look(&memory), other.join().unwrap()];
            assert!(found.contains(&Some(0)) && found.contains(&None), "{found:?}");
            let page = &memory[0].1;
            assert_eq!((page.in_flight.load(Relaxed), page.unanswered.load(Relaxed)), (1, 1));
        });
    }

    #[test]
    fn loom_what_is_taken_back_can_be_taken_again() {
        loom::model(|| {
            let memory = memory(1);
            let theirs = Arc::clone(&memory);
            let other = loom::thread::spawn(move || {
                if let Some(index) = claim(view(&theirs), GROUP_OF_ALL, &[], Need::Free, 0) {
                    let slot = view(&theirs).nth(index).unwrap();
                    answered(slot, 1);
                    release(slot, 1);
                }
            });
            let mine = claim(view(&memory), GROUP_OF_ALL, &[], Need::Free, 0);
            other.join().unwrap();
            if mine.is_some() {
                let slot = view(&memory).next().unwrap();
                answered(slot, 1);
                release(slot, 1);
            }
            let page = &memory[0].1;
            assert_eq!((page.in_flight.load(Relaxed), page.unanswered.load(Relaxed)), (0, 0));
            assert_eq!(claim(view(&memory), GROUP_OF_ALL, &[], Need::Free, 0), Some(0));
        });
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::super::slot::example::{slot, view};
    use super::*;
    use crate::table::group_key;

    #[test]
    fn the_least_busy_ready_process_of_the_group_is_chosen() {
        let table = [
            slot("a", State::Ready, 5, 2),
            slot("b", State::Ready, 5, 0),
            slot("a", State::Draining, 5, 0),
            slot("a", State::Ready, 5, 1),
            slot("a", State::Starting, 5, 0),
        ];
        let claim =
            |group: &[u8], avoid: &[usize]| claim(table.iter().map(view), group_key(group), avoid, Need::Any, 0);
        assert_eq!(claim(b"a", &[]), Some(3));
        assert_eq!(claim(b"a", &[3]), Some(0));
        assert_eq!(claim(b"a", &[0, 3]), None);
        assert_eq!(claim(b"c", &[]), None);
    }

    #[test]
    fn a_claim_counts_until_it_is_released() {
        let table = [slot("a", State::Ready, 1, 0), slot("a", State::Ready, 1, 0)];
        let claim = |need| claim(table.iter().map(view), group_key(b"a"), &[], need, 0);
        assert_eq!((claim(Need::Free), claim(Need::Free), claim(Need::Free)), (Some(0), Some(1), None));
        assert_eq!(claim(Need::Any), Some(0));
        assert_eq!((view(&table[0]).waiting(), view(&table[1]).waiting()), (1, 0));
        release(view(&table[1]), 1);
        answered(view(&table[1]), 1);
        assert_eq!(claim(Need::Free), Some(1));
        release(view(&table[1]), 1);
        release(view(&table[1]), 1);
        release(view(&table[0]), 99);
        assert_eq!((table[1].1.in_flight.load(Relaxed), table[0].1.in_flight.load(Relaxed)), (0, 2));
    }

    #[test]
    fn load_is_relative_to_threads() {
        let table = [slot("a", State::Ready, 1, 1), slot("a", State::Ready, 10, 5)];
        assert_eq!(claim(table.iter().map(view), group_key(b"a"), &[], Need::Any, 0), Some(1));
    }

    #[test]
    fn quick_requests_stay_with_one_process() {
        let table = [slot("a", State::Ready, 1, 0), slot("a", State::Ready, 1, 0)];
        let claim = |need| claim(table.iter().map(view), group_key(b"a"), &[], need, 0);
        table[0].1.pace.store(60, Relaxed);
        assert_eq!([claim(Need::Free), claim(Need::Free)], [Some(0); 2]);
        assert_eq!(claim(Need::Free), Some(1), "two would take longer than it takes to wake another process");
        assert!(claim(Need::Free).is_none() && !view(&table[1]).has_room(0), "whose pace is not known");
        answered(view(&table[0]), 1);
        release(view(&table[0]), 1);
        table[0].1.pace.store(2000, Relaxed);
        assert_eq!((claim(Need::Free), view(&table[0]).has_room(0)), (None, false), "requests have become slow");
    }

    #[test]
    fn the_quickest_requests_may_be_many() {
        let table = [slot("a", State::Ready, 1, 0), slot("a", State::Ready, 1, 0)];
        let claim = || claim(table.iter().map(view), group_key(b"a"), &[], Need::Free, 0);
        table[0].1.pace.store(25, Relaxed);
        assert_eq!([(); 11].map(|()| claim()), [Some(0); 11]);
        assert_eq!(claim(), Some(1), "though not any number");
    }

    #[test]
    fn nobody_waits_behind_one_that_is_late() {
        let table = [slot("a", State::Ready, 1, 0), slot("a", State::Ready, 1, 0)];
        let claim = |now| claim(table.iter().map(view), group_key(b"a"), &[], Need::Free, now);
        table[0].1.tell_pace(10, u32::MAX - 100);
        assert_eq!(claim(u32::MAX), Some(0), "the thread is free");
        assert_eq!(claim(u32::MAX - 200), Some(0), "one has just ended, as far as clocks agree");
        assert_eq!(claim(800), Some(0), "or almost");
        assert_eq!(claim(2000), Some(1), "the one that runs takes longer than those before it");
    }

    #[test]
    fn a_response_that_only_a_slow_client_waits_for_takes_no_thread() {
        let table = [slot("a", State::Ready, 1, 3)];
        let claim = |need| claim(table.iter().map(view), group_key(b"a"), &[], need, 0);
        assert_eq!(claim(Need::Free), None);
        (0..3).for_each(|_| answered(view(&table[0]), 1));
        assert_eq!((view(&table[0]).taken(), claim(Need::Free)), (0, Some(0)));
        assert_eq!(claim(Need::Free), None);
        // As the table has it there are four; the process itself has none of them.
        assert_eq!(claim(Need::Idle), Some(0));
        table[0].1.busy.store(1, Relaxed);
        assert_eq!(claim(Need::Idle), None);
    }
}
