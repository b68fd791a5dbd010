//! Keeps the system's allocator from keeping what large uploads freed.
//!
//! glibc gives each thread an arena of its own and raises its threshold for giving pages back to the largest block that
//! was freed: 1.4 GB uploaded left 134 MB resident. With one arena and the threshold held at 1 MiB it is 92 MB, at the same
//! speed; with the threshold at 256 KiB 28 MB, but the upload takes twice as long, most of it page faults (mimalloc, on an
//! upload of 236 MB: 80 MB against glibc's 50 MB). Both can be set without unsafe code only by variables that the allocator
//! reads when a process begins.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// What glibc reads (mallopt(3), `M_ARENA_MAX` and `M_MMAP_THRESHOLD`, bytes). Pieces of an upload are well below the
/// threshold and are used again, chunks are above and are given back.
const VARIABLES: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];

/// Begins this process anew with the allocator set, once. Returns where that was done before, or can't be done: then
/// everything works, with more memory. Who sets one of the variables themselves is left alone.
pub fn settle() {
    if VARIABLES.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) else { return };
    let error = Command::new(program).arg0(name).args(arguments).envs(VARIABLES).exec();
    eprintln!("warning: memory that uploads used will be kept: {error}");
}
