//! Limits on what a process group uses at a time: Apache's workers, and those threads of its own that wait for a
//! client.
#![forbid(unsafe_code)]

use std::ptr;
use std::thread::sleep;
use std::time::Duration;

use wsgi_unix::clock;
use wsgi_wire::table::Places;

/// How long a request waits for a worker that its group may have. It waits in one of the workers that are left to other
/// groups and to static files, so it waits no longer than this, and no more requests wait than will soon get one
/// ([`Places::is_crowded`]), but for a burst ([`Places::is_burst`]): a busy server turns nobody away for being busy.
const WAIT: Duration = Duration::from_secs(1);
/// How often a request that waits looks for a worker.
const LOOK: Duration = Duration::from_millis(2);

/// A place that is taken while this lives.
#[derive(Debug)]
pub struct Admission<'t> {
    places: &'t Places,
}

impl<'t> Admission<'t> {
    /// Takes a place, unless `limit` are taken already.
    pub fn new(places: &'t Places, limit: u32) -> Option<Self> {
        places.take(limit).then(|| Self { places })
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        self.places.give_back(clock::monotonic);
    }
}

/// A request that waits for a place while this lives.
struct Waiting<'t> {
    places: &'t Places,
}

impl<'t> Waiting<'t> {
    fn new(places: &'t Places) -> Self {
        places.begin_to_wait(clock::monotonic());
        Self { places }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.places.end_waiting();
    }
}

/// How many of Apache's workers the requests of a group may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// The group's own limit: `worker-limit`.
    own: u32,
    /// The limit that all groups have in common; `None` where `worker-limit` is given, which then decides alone.
    common: Option<Common>,
}

/// The limits on the workers that all groups have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Common {
    /// How many all groups may have as long as this group has its share.
    usual: u32,
    /// How many all groups may have while this group has less than its share.
    max: u32,
    /// The share of each group, which no other takes.
    share: u32,
}

/// The limit that keeps a request from a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The group has as many workers as it may have.
    ByGroup,
    /// All groups together have as many as they may have.
    ByAll,
}

impl Workers {
    /// The limits where `worker-limit` is not given, for one of `groups` groups of a server with this many workers. A
    /// group, and all groups together, leave a fourth of them to others, even if clients read slowly and answers do not
    /// end. Half of that fourth is for groups that have next to nothing, so that no other group, and no two of them,
    /// keep one out; the rest is for static files. Of fewer than four workers there is none to leave.
    pub fn by_default(workers: u32, groups: usize) -> Self {
        let (usual, max) = (workers - workers / 4, workers - workers / 8);
        let groups = u32::try_from(groups).unwrap_or(u32::MAX).max(1);
        let common = Common { usual, max: max.max(usual), share: (max.saturating_sub(usual) / groups).max(1) };
        Self { own: usual, common: Some(common) }
    }

    /// The limit that `worker-limit` sets; 0 is any number.
    pub fn given(limit: u32) -> Self {
        Self { own: if limit == 0 { u32::MAX } else { limit }, common: None }
    }

    /// Takes a worker, for as long as both admissions live. `all` counts those of all groups.
    ///
    /// # Errors
    /// The limit that has been reached.
    fn take<'t>(self, group: &'t Places, all: &'t Places) -> Result<[Admission<'t>; 2], Taken> {
        let has = group.taken();
        let own = Admission::new(group, self.own).ok_or(Taken::ByGroup)?;
        let limit = match self.common {
            Some(Common { share, max, .. }) if has < share => max,
            Some(Common { usual, .. }) => usual,
            None => u32::MAX,
        };
        Ok([own, Admission::new(all, limit).ok_or(Taken::ByAll)?])
    }

    /// Takes a worker, and waits a moment for one if there is none, unless more requests wait already than will soon
    /// have one, and have for longer than a burst lasts. After a wait in vain nobody waits until a worker has been
    /// given back: otherwise the workers of a group that is stuck would be joined by more of them.
    ///
    /// # Errors
    /// The limit that has been reached.
    pub fn wait<'t>(self, group: &'t Places, all: &'t Places) -> Result<[Admission<'t>; 2], Taken> {
        self.wait_for(WAIT, group, all)
    }

    fn wait_for<'t>(self, longest: Duration, group: &'t Places, all: &'t Places) -> Result<[Admission<'t>; 2], Taken> {
        let (mut begun, mut waits) = (None, None);
        loop {
            let taken = match self.take(group, all) {
                Ok(admissions) => return Ok(admissions),
                Err(taken) => taken,
            };
            let places = if taken == Taken::ByGroup { group } else { all };
            if waits.as_ref().is_none_or(|waiting: &Waiting<'_>| !ptr::eq(waiting.places, places)) {
                waits = Some(Waiting::new(places));
            }
            let now = clock::monotonic();
            let in_vain = now.saturating_sub(*begun.get_or_insert(now)) >= longest;
            if (in_vain || places.is_stuck() || places.is_crowded(now)) && !places.is_burst(now) {
                if in_vain {
                    places.set_stuck();
                }
                return Err(taken);
            }
            sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_turned_away_gives_nothing_back() {
        let places = Places::default();
        let first = Admission::new(&places, 1);
        assert!(first.is_some() && Admission::new(&places, 1).is_none());
        assert!(Admission::new(&places, 1).is_none());
        drop(first);
        assert!(Admission::new(&places, 1).is_some());
    }

    /// As many as a group gets that takes what it can.
    fn takes<'t>(workers: Workers, group: &'t Places, all: &'t Places) -> Vec<[Admission<'t>; 2]> {
        std::iter::from_fn(|| workers.take(group, all).ok()).collect()
    }

    #[test]
    fn a_group_leaves_a_fourth_of_the_workers() {
        for (workers, expected) in [(1, 1), (2, 2), (3, 3), (4, 3), (16, 12), (150, 113)] {
            let (group, all) = (Places::default(), Places::default());
            let taken = takes(Workers::by_default(workers, 1), &group, &all);
            assert_eq!(taken.len(), expected);
            assert_eq!(Workers::by_default(workers, 1).take(&group, &all).err(), Some(Taken::ByGroup));
        }
    }

    #[test]
    fn groups_that_take_all_they_can_leave_each_other_a_share_and_the_rest_to_others() {
        for (workers, groups) in [(16, 2), (16, 3), (400, 2), (400, 20), (16, 100)] {
            let (places, all) = (Vec::from_iter((0..groups).map(|_| Places::default())), Places::default());
            let limits = Workers::by_default(workers, groups);
            let taken: Vec<_> = places.iter().map(|group| takes(limits, group, &all)).collect();
            let total: usize = taken.iter().map(Vec::len).sum();
            assert!(total <= (workers - workers / 8) as usize, "{workers} {groups}: {total}");
            // With more groups than workers not everybody can have one.
            let reserved = (workers / 8) as usize;
            assert!(groups > reserved || taken.iter().all(|group| !group.is_empty()), "{workers} {groups}");
            assert_eq!(limits.take(&places[groups - 1], &all).err(), Some(Taken::ByAll));
        }
    }

    /// Places that have been wanted for longer than a burst lasts.
    fn wanted_long() -> Places {
        let places = Places::default();
        assert!(places.is_burst(clock::monotonic().saturating_sub(Duration::from_secs(3))));
        places
    }

    #[test]
    fn who_waits_gets_a_worker_that_is_given_back() {
        let (group, all) = (Places::default(), Places::default());
        let limits = Workers::given(1);
        let first = limits.take(&group, &all).expect("there is one");
        std::thread::scope(|scope| {
            let second = scope.spawn(|| limits.wait_for(Duration::from_secs(60), &group, &all).is_ok());
            drop(first);
            assert!(second.join().is_ok_and(|served| served));
        });
    }

    #[test]
    fn nobody_waits_behind_one_who_has_waited_in_vain_until_a_worker_is_given_back() {
        let (group, all) = (wanted_long(), Places::default());
        let limits = Workers::given(1);
        let first = limits.take(&group, &all).expect("there is one");
        assert_eq!(limits.wait_for(Duration::ZERO, &group, &all).err(), Some(Taken::ByGroup));
        assert_eq!(limits.wait_for(Duration::MAX, &group, &all).err(), Some(Taken::ByGroup));
        drop(first);
        assert!(!group.is_stuck() && limits.wait(&group, &all).is_ok());
    }

    #[test]
    fn no_more_wait_than_will_soon_have_a_worker() {
        let (group, all) = (wanted_long(), Places::default());
        let limits = Workers::given(1);
        let mut taken = limits.take(&group, &all).ok();
        // Workers come back, but rarely.
        group.begin_to_wait(Duration::ZERO);
        (1..30).for_each(|second| group.give_back(|| Duration::from_secs(second)));
        group.end_waiting();
        assert!(group.take(1));
        std::thread::scope(|scope| {
            let waits = || limits.wait_for(Duration::MAX, &group, &all).is_ok();
            let mut requests = vec![scope.spawn(waits), scope.spawn(waits), scope.spawn(waits)];
            for _ in 0..2 {
                let given_up = std::iter::repeat_with(|| requests.iter().position(|request| request.is_finished()));
                let given_up = given_up.inspect(|_| sleep(LOOK)).flatten().next();
                let given_up = given_up.map(|index| requests.remove(index)).expect("it waits for no end");
                assert!(given_up.join().is_ok_and(|served| !served));
            }
            drop(taken.take());
            let last = requests.pop().expect("one waits");
            assert!(last.join().is_ok_and(|served| served), "the last one waits, and gets it");
        });
        assert!(!group.is_stuck());
    }

    #[test]
    fn a_limit_that_is_given_decides_alone() {
        let (group, all) = (Places::default(), Places::default());
        let others = takes(Workers::by_default(16, 2), &group, &all);
        let own = Places::default();
        assert_eq!(takes(Workers::given(16), &own, &all).len(), 16);
        assert!(Workers::given(0).take(&own, &all).is_ok());
        drop(others);
    }
}
