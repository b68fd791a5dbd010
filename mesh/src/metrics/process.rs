//! What the system says of this process, as `/proc` has it: by the names that all clients of Prometheus use
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::fs::{read_dir, read_to_string};

/// Ticks a second of what `/proc` counts in: 100 on every Linux there is, whatever its kernel's own (`USER_HZ`, time(7)).
const TICKS: f64 = 100.0;

/// Looks at `/proc/self` each time. Where there is none, nothing is told.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut tell = |name: &str, help: &str, metric: &dyn Told| metric.tell(&mut encoder, name, help);
        if let Some(stat) = Stat::read() {
            tell("process_cpu_seconds", "Time that processors worked for it", &Count(stat.cpu))?;
            tell("process_start_time_seconds", "When it began, in seconds since 1970", &Level(stat.began))?;
        }
        if let Some(bytes) = status("VmRSS:") {
            tell("process_resident_memory_bytes", "Memory that it has", &Level(bytes))?;
        }
        if let Some(bytes) = status("VmSize:") {
            tell("process_virtual_memory_bytes", "Addresses that it has", &Level(bytes))?;
        }
        if let Ok(open) = read_dir("/proc/self/fd") {
            // One is what counts them.
            #[expect(clippy::cast_precision_loss, reason = "no process has 2^52 files open")]
            let open = open.count().saturating_sub(1) as f64;
            tell("process_open_fds", "Files and sockets that it has open", &Level(open))?;
        }
        if let Some(most) = most_files() {
            tell("process_max_fds", "Files and sockets that it may have open", &Level(most))?;
        }
        Ok(())
    }
}

trait Told {
    fn tell(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result;
}

struct Count(f64);
struct Level(f64);

impl Told for Count {
    fn tell(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result {
        told(encoder, name, help, &ConstCounter::new(self.0))
    }
}

impl Told for Level {
    fn tell(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result {
        told(encoder, name, help, &ConstGauge::new(self.0))
    }
}

fn told(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// What `/proc/self/stat` says (`proc_pid_stat(5)`), in seconds.
struct Stat {
    cpu: f64,
    began: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        let stat = read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name in parentheses, which may have anything in it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok().map(|ticks| ticks / TICKS);
        let booted = read_to_string("/proc/stat").ok()?;
        let booted: f64 = booted.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(Self { cpu: ticks(14)? + ticks(15)?, began: booted + ticks(22)? })
    }
}

/// Bytes that `/proc/self/status` says under `name` (`proc_pid_status(5)`), which counts in KiB.
fn status(name: &str) -> Option<f64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_ascii_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

fn most_files() -> Option<f64> {
    let limits = read_to_string("/proc/self/limits").ok()?;
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    soft.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_knows_us() {
        let stat = Stat::read().expect("Linux");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert!(stat.began <= now + 1.0 && now - stat.began < 24.0 * 3600.0, "{} {now}", stat.began);
        assert!(status("VmRSS:").is_some_and(|bytes| bytes > 1e5));
        assert!(most_files().is_some_and(|most| most >= 64.0));
    }
}
