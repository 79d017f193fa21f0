//! The report of each tick: what the requests of an interval cost.

use super::Telemetry;
use super::datagram::Kind;
use crate::metrics::figures::Figures;
use crate::metrics::interval::PHASES;
use crate::moments::now;

/// How many workers are reported one by one at the most.
const WORKERS: usize = 128;
/// The places of the phases that a request has on its way to a daemon process.
const ON_THE_WAY: [usize; 2] = [1, 2];

impl Telemetry {
    /// Reports what requests have cost since the last report.
    pub(crate) fn requests(&self) {
        let (process, settings) = (self.process, &self.process.settings);
        let Some(interval) = process.metrics.drain_detached() else { return };
        let figures = Figures::new(&interval, &process.metrics);
        let mut datagram = self.datagram(Kind::Requests, now());
        self.put_identity(&mut datagram);
        datagram.number(10, figures.period);
        datagram.number(11, settings.telemetry.as_ref().map_or(0.0, |telemetry| telemetry.interval));
        datagram.number(12, settings.slow_requests);
        datagram.count(20, interval.count);
        datagram.number(21, interval.count as f64 / figures.period);
        datagram.number(22, figures.capacity);
        datagram.number(30, figures.cpu_user);
        datagram.number(31, figures.cpu_system);
        datagram.number(32, figures.cpu_user + figures.cpu_system);
        datagram.count(40, figures.memory);
        datagram.count(41, figures.max_memory);
        datagram.count(50, interval.workers.len() as u64);
        datagram.count(51, figures.started as u64);
        datagram.count(52, figures.active as u64);
        for (at, phase) in (0..PHASES.len()).zip(&interval.phases) {
            if ON_THE_WAY.contains(&at) && (process.is_embedded() || interval.count == 0) {
                continue;
            }
            let at = at as u16;
            datagram.number(60 + at, phase.mean());
            if let (Some(min), Some(max)) = phase.range() {
                datagram.number(70 + at, min.as_secs_f64());
                datagram.number(80 + at, max.as_secs_f64());
            }
            datagram.counts(90 + at, phase.buckets.iter().copied());
        }
        for (id, sum) in (100..).zip(interval.moved) {
            datagram.count(id, sum);
        }
        let workers = &interval.workers[..interval.workers.len().min(WORKERS)];
        datagram.counts(110, workers.iter().map(|worker| worker.completed));
        datagram.numbers(111, workers.iter().map(|worker| worker.busy.as_secs_f64()));
        datagram.numbers(112, workers.iter().map(|worker| worker.cpu.as_secs_f64()));
        datagram.numbers(113, figures.elapsed.iter().take(workers.len()).copied());
        datagram.numbers(114, workers.iter().map(|worker| worker.longest.as_secs_f64()));
        for (id, count) in (120..).zip(interval.classes) {
            datagram.count(id, count);
        }
        self.send(&datagram);
    }
}
