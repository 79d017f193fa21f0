//! A thread that waits for another one to do its job.

use std::mem;
use std::sync::PoisonError;

#[cfg(all(loom, test))]
use loom::{
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, Thread},
};
#[cfg(not(all(loom, test)))]
use std::{
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, Thread},
};

/// A thread that waits for its job to be done.
pub(super) struct Waiting<J, A> {
    slot: Mutex<Slot<J, A>>,
    owner: Thread,
}

/// What a thread has waited for.
pub(super) enum Ended<J, A> {
    /// The answer of whoever has done the job.
    Answered(A),
    /// The turn of this number.
    Turn(J, u64),
    /// Nothing: it has to go on alone.
    Back(J),
}

/// What has become of a job.
enum Slot<J, A> {
    /// It waits for somebody who does it.
    Waits(J),
    /// Somebody does it.
    Taken,
    /// Its owner has to do it.
    Back(J),
    /// Its owner has the turn of this number.
    Turn(J, u64),
    /// It has been done.
    Answered(A),
}

impl<J, A> Waiting<J, A> {
    /// The calling thread is going to wait for this job.
    pub(super) fn new(job: J) -> Self {
        Self { slot: Mutex::new(Slot::Waits(job)), owner: thread::current() }
    }

    fn lock(&self) -> MutexGuard<'_, Slot<J, A>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what becomes of the job.
    pub(super) fn wait(&self) -> Ended<J, A> {
        loop {
            let mut slot = self.lock();
            match mem::replace(&mut *slot, Slot::Taken) {
                Slot::Answered(answer) => return Ended::Answered(answer),
                Slot::Turn(job, number) => return Ended::Turn(job, number),
                Slot::Back(job) => return Ended::Back(job),
                undecided => *slot = undecided,
            }
            drop(slot);
            thread::park();
        }
    }

    /// Takes the job, unless its owner has it back.
    pub(super) fn take(&self) -> Option<J> {
        let mut slot = self.lock();
        match mem::replace(&mut *slot, Slot::Taken) {
            Slot::Waits(job) => Some(job),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// Gives the turn of this number to the job's owner.
    pub(super) fn give_turn(&self, number: u64) {
        let mut slot = self.lock();
        if let Slot::Waits(job) = mem::replace(&mut *slot, Slot::Taken) {
            *slot = Slot::Turn(job, number);
        }
        drop(slot);
        self.owner.unpark();
    }

    /// Gives the job back to its owner, unless somebody does it.
    pub(super) fn give_back(&self) {
        let mut slot = self.lock();
        if let Slot::Waits(job) = mem::replace(&mut *slot, Slot::Taken) {
            *slot = Slot::Back(job);
        }
        drop(slot);
        self.owner.unpark();
    }
}

/// A job in hand: its owner waits until this is dropped.
pub(crate) struct Taken<J, A: Default> {
    waiting: Arc<Waiting<J, A>>,
    /// What the owner gets.
    pub(crate) answer: A,
}

impl<J, A: Default> Taken<J, A> {
    /// The job of this owner, who has no answer yet.
    pub(super) fn new(waiting: Arc<Waiting<J, A>>) -> Self {
        Self { waiting, answer: A::default() }
    }
}

impl<J, A: Default> Drop for Taken<J, A> {
    fn drop(&mut self) {
        *self.waiting.lock() = Slot::Answered(mem::take(&mut self.answer));
        self.waiting.owner.unpark();
    }
}
