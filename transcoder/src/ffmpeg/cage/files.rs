//! Landlock: which files a thread and its children may open.

use super::holds;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The newest that we know; of older ones we take what they have.
const KNOWN: ABI = ABI::V7;
/// Programs and libraries. Where they are elsewhere (`/nix/store`), they are all in one place.
const PROGRAMS: [&str; 10] = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/ld-musl-x86_64.path",
    "/etc/alternatives",
];
/// What a library may open that means no harm.
const DEVICES: [&str; 2] = ["/dev/null", "/dev/urandom"];

/// The ABI, if it keeps files from a thread here.
pub(super) fn tried() -> Option<u32> {
    let abi = AtomicU32::new(0);
    let enter = || -> Result<(), RulesetError> {
        if let LandlockStatus::Available { effective_abi, .. } = restrict(&[])?.landlock {
            abi.store(effective_abi as u32, Ordering::Relaxed);
        }
        Ok(())
    };
    // Everybody may list the first; the second is not everywhere, but it is what attacks ask for.
    let closed = || refused(std::fs::read_dir("/")) && std::fs::File::open("/etc/passwd").is_err();
    let abi = || abi.load(Ordering::Relaxed);
    holds(enter, closed).then(abi).filter(|abi| *abi > 0)
}

fn refused<T>(outcome: io::Result<T>) -> bool {
    outcome.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// Closes everything to the calling thread but programs, libraries and `besides`.
pub(super) fn close(besides: &[PathBuf]) -> io::Result<()> {
    let status = restrict(besides).map_err(io::Error::other)?;
    // It was found to hold: without, nothing is started.
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(io::Error::other("Landlock held at the start, and does not now"));
    }
    Ok(())
}

fn restrict(besides: &[PathBuf]) -> Result<landlock::RestrictionStatus, RulesetError> {
    let read = AccessFs::from_read(KNOWN);
    Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(PROGRAMS, read))?
        .add_rules(path_beneath_rules(besides, read))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::from_file(KNOWN)))?
        .restrict_self()
}

/// What a program needs besides: itself, and what lies where its libraries are looked for. A folder that holds it is not
/// opened: it may be anybody's.
pub(super) fn of_program(program: Option<&Path>) -> Vec<PathBuf> {
    let installed = program.and_then(Path::parent).filter(|folder| folder.ends_with("bin"));
    let prefix = installed.and_then(Path::parent).filter(|prefix| prefix.parent().is_some());
    let libraries = prefix.into_iter().flat_map(|prefix| ["lib", "lib64"].map(|name| prefix.join(name)));
    let named = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let named: Vec<_> = std::env::split_paths(&named).filter(|folder| folder.is_absolute()).collect();
    program.into_iter().map(Path::to_owned).chain(libraries).chain(named).collect()
}
