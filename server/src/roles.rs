//! Which services a process runs.

use std::fmt;
use std::str::FromStr;

/// One of the services.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// The edge: uploads, playback, the web app. Has the public listener.
    Gateway,
    /// The truth about videos, sources and jobs.
    Catalog,
    /// Takes jobs, drives ffmpeg.
    Transcoder,
}

impl Role {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Catalog, Self::Transcoder];

    /// As it is written in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Catalog => "catalog",
            Self::Transcoder => "transcoder",
        }
    }
}

/// The services that one process runs: one at least.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// Everything in one process.
    pub fn all() -> Self {
        Self(Role::ALL.to_vec())
    }

    /// Whether `role` is among them.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether other processes have to do what this one leaves out.
    pub fn are_some(&self) -> bool {
        self.0.len() < Role::ALL.len()
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|role| role.name()).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "all" {
            return Ok(Self::all());
        }
        let role = |name: &str| {
            let known = "known are gateway, catalog, transcoder, several after commas, and all";
            let role = Role::ALL.into_iter().find(|role| role.name() == name);
            role.ok_or_else(|| format!("there is no role `{name}`; {known}"))
        };
        let mut roles = text.split(',').map(|name| role(name.trim())).collect::<Result<Vec<_>, _>>()?;
        roles.sort_unstable();
        roles.dedup();
        Ok(Self(roles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_in_any_order_and_said_in_one() {
        let read = |text: &str| text.parse::<Roles>();
        assert_eq!(read("all").expect("all"), Roles::all());
        assert_eq!(read("transcoder, gateway,gateway").expect("two").to_string(), "gateway,transcoder");
        assert_eq!(read("gateway,catalog,transcoder").expect("three"), Roles::all());
        assert!(read("catalog").expect("one").are_some());
        for (wrong, part) in [("", "``"), ("gateway,", "``"), ("all,catalog", "`all`"), ("worker", "`worker`")] {
            let error = read(wrong).expect_err(wrong);
            assert!(error.contains(part), "{error}");
        }
    }
}
