//! How the services of a mesh are spread over processes.

/// Which services share a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Two processes, each with all of them.
    Together,
}

/// What a process is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Everything.
    All,
}

impl Layout {
    /// The processes of a mesh.
    pub fn roles(self) -> &'static [Role] {
        match self {
            Self::Together => &[Role::All; 2],
        }
    }
}

impl Role {
    /// Whether clients may ask it.
    pub fn is_gateway(self) -> bool {
        match self {
            Self::All => true,
        }
    }

    /// Whether it has the catalog, and with it the reports of viewers.
    pub fn is_catalog(self) -> bool {
        match self {
            Self::All => true,
        }
    }

    /// Whether it works.
    pub fn is_transcoder(self) -> bool {
        match self {
            Self::All => true,
        }
    }
}
