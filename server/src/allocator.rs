//! Makes the system's allocator give back what large uploads freed.
//!
//! glibc raises its threshold for giving pages back at once to the largest block that was freed, up to 32 MiB: after the
//! first cell of 8 MiB it keeps everything. Measured after 236 MB were uploaded: 50 MB resident and a peak of 102 MB;
//! with the threshold held at 256 KiB 24 MB and 66 MB (with mimalloc 80 MB and 160 MB). The threshold can be held without
//! unsafe code only by a variable that the allocator reads when a process begins.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// What glibc reads (mallopt(3), `M_MMAP_THRESHOLD`).
const VARIABLE: &str = "MALLOC_MMAP_THRESHOLD_";
/// Bytes: well above what is used all the time, well below a piece.
const THRESHOLD: &str = "262144";

/// Begins this process anew with the threshold held, once. Returns where that was done before, or can't be done: then
/// everything works, with more memory.
pub fn hold_threshold() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) else { return };
    let error = Command::new(program).arg0(name).args(arguments).env(VARIABLE, THRESHOLD).exec();
    eprintln!("warning: memory that uploads used will be kept: {error}");
}
