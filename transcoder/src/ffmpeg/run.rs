//! What a run of ffmpeg was and what it took, so that it can be told to whoever wonders.

use rustix::process::Pid;
use std::time::Duration;
use vidstream_proto::pb;
use vidstream_proto::time::proto_duration;

/// A run that ended well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Arguments that it was started with.
    pub arguments: Vec<String>,
    /// From its start to its end.
    pub wall: Duration,
    /// Time on processors, its own and the system's for it, with that of children that it waited for; none where the kernel
    /// did not say.
    pub cpu: Option<Duration>,
    /// Bytes that it took from its stdin.
    pub bytes_in: u64,
    /// Bytes that were taken from its stdout.
    pub bytes_out: u64,
    /// The last of what it said on stderr. It ended well, so this is worth nothing but as an explanation.
    pub said: String,
}

impl From<Run> for pb::Work {
    fn from(run: Run) -> Self {
        Self {
            arguments: run.arguments,
            wall: Some(proto_duration(run.wall)),
            cpu: run.cpu.map(proto_duration),
            bytes_in: run.bytes_in,
            bytes_out: run.bytes_out,
        }
    }
}

/// Several runs for one thing: arguments are those of the first, all else is that of all together.
#[derive(Clone, Default, Debug)]
pub struct Runs(Option<Run>);

impl Runs {
    /// One more.
    pub fn add(&mut self, run: Run) {
        let Some(sum) = &mut self.0 else {
            self.0 = Some(run);
            return;
        };
        sum.wall += run.wall;
        sum.cpu = sum.cpu.zip(run.cpu).map(|(sum, cpu)| sum + cpu);
        sum.bytes_in += run.bytes_in;
        sum.bytes_out += run.bytes_out;
        sum.said = run.said;
    }

    /// What they took, if there was any.
    pub fn work(self) -> Option<pb::Work> {
        self.0.map(Into::into)
    }
}

/// Time on processors of a child that has ended and was not reaped.
pub(super) fn cpu_of(ended: Pid) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", ended.as_raw_pid())).ok()?;
    spent(&stat, rustix::param::clock_ticks_per_second())
}

/// `utime`, `stime`, `cutime` and `cstime` of a line of `/proc/PID/stat` (`proc_pid_stat(5)`), with so many ticks a second.
fn spent(stat: &str, ticks_a_second: u64) -> Option<Duration> {
    // The second field is a name in parentheses, which may have any character in it.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    // The state is field 3, the times are 14 to 17.
    let ticks = fields.get(11..15)?.iter().try_fold(0, |sum, field| Some(sum + field.parse::<u64>().ok()?))?;
    Some(Duration::from_nanos((ticks * 1_000_000_000).checked_div(ticks_a_second)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_behind_the_name_whatever_it_is() {
        let stat = "42 (a ) b) Z 1 42 42 0 -1 4228108 5 6 7 8 150 25 3 2 39 19 1 0 9000 0 0";
        assert_eq!(spent(stat, 100), Some(Duration::from_millis(1800)));
        assert_eq!(spent("42 (a) Z 1 42", 100), None);
        assert_eq!(spent(stat, 0), None);
    }

    #[test]
    fn runs_add_up_as_far_as_all_is_known() {
        let run = |cpu| Run {
            arguments: vec!["-version".to_owned()],
            wall: Duration::from_secs(2),
            cpu,
            bytes_in: 3,
            bytes_out: 4,
            said: String::new(),
        };
        let mut runs = Runs::default();
        assert_eq!(runs.clone().work(), None);
        runs.add(run(Some(Duration::from_secs(1))));
        runs.add(run(Some(Duration::from_secs(5))));
        let work = runs.clone().work().expect("two");
        assert_eq!((work.arguments.len(), work.bytes_in, work.bytes_out), (1, 6, 8));
        assert_eq!(work.cpu, Some(proto_duration(Duration::from_secs(6))));
        runs.add(run(None));
        assert_eq!(runs.work().expect("three").cpu, None);
    }
}
