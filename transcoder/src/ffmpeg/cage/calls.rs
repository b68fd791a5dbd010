//! Seccomp: which system calls a thread and its children may make. All but those that a decoder never needs and an attack
//! does; a list of what it needs would differ with every library and every version of it.

use super::holds;
use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::io;
use std::sync::LazyLock;

/// Refused with `EPERM`.
const REFUSED: &[c_long] = &[
    // Whom to talk to.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    // Whom to disturb: the server has the same user.
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    // What the system looks like.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
    libc::SYS_personality,
    // Parts of the kernel in which faults were found again and again.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// The same, where nothing else keeps from signalling the server. A program may signal itself (`abort` does), which a filter
/// can't tell apart.
const SIGNALS: &[c_long] = &[
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
];

/// Flags of `clone` that make namespaces.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Bits by which numbers of calls differ: x86-64 kernels may know each by another number besides (x32).
#[cfg(target_arch = "x86_64")]
const OTHER_NUMBERS: [c_long; 2] = [0, 0x4000_0000];
#[cfg(not(target_arch = "x86_64"))]
const OTHER_NUMBERS: [c_long; 1] = [0];

/// The programs of the filter, the last of which refuses signals; none for a machine that it does not know.
static FILTERS: LazyLock<Option<[BpfProgram; 3]>> = LazyLock::new(|| {
    let machine = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    match programs(machine) {
        Ok(programs) => Some(programs),
        Err(error) => {
            tracing::warn!(%error, "ffmpeg's system calls can't be filtered");
            None
        }
    }
});

/// Whether it keeps sockets from a thread here.
pub(super) fn tried() -> bool {
    let refused =
        || std::net::UdpSocket::bind("127.0.0.1:0").is_err_and(|error| error.raw_os_error() == Some(libc::EPERM));
    holds(|| close(true), refused)
}

/// Closes the calls to the calling thread, and those that signal if `signals`.
pub(super) fn close(signals: bool) -> io::Result<()> {
    let missing = || io::Error::other("there is no filter of system calls for this machine");
    let programs = FILTERS.as_ref().ok_or_else(missing)?;
    let count = programs.len() - usize::from(!signals);
    programs[..count].iter().try_for_each(|program| seccompiler::apply_filter(program)).map_err(io::Error::other)
}

fn programs(machine: TargetArch) -> Result<[BpfProgram; 3], BackendError> {
    let filter = |calls: Vec<(c_long, Vec<SeccompRule>)>, errno: libc::c_int| {
        let answer = SeccompAction::Errno(errno.unsigned_abs());
        SeccompFilter::new(calls.into_iter().collect(), SeccompAction::Allow, answer, machine)?.try_into()
    };
    let namespaces = NAMESPACES.into_iter().map(with_flag).collect::<Result<_, _>>()?;
    let refused = every_number(REFUSED).chain([(libc::SYS_clone, namespaces)]).collect();
    Ok([
        // The flags of `clone3` lie in memory, which a filter can't see; told that there is none, the C library takes `clone`.
        filter(vec![(libc::SYS_clone3, Vec::new())], libc::ENOSYS)?,
        filter(refused, libc::EPERM)?,
        filter(every_number(SIGNALS).collect(), libc::EPERM)?,
    ])
}

/// Calls by all numbers that they have here.
fn every_number(calls: &[c_long]) -> impl Iterator<Item = (c_long, Vec<SeccompRule>)> {
    calls.iter().flat_map(|call| OTHER_NUMBERS.map(|other| (call | other, Vec::new())))
}

fn with_flag(flag: libc::c_int) -> Result<SeccompRule, BackendError> {
    let flag = u64::from(flag.unsigned_abs());
    SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?])
}
