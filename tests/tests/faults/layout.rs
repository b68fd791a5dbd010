//! How the services of a mesh are spread over processes.

/// Which services share a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Two processes, each with all of them.
    Together,
    /// Two processes of each service, which know each other by addresses.
    Apart,
}

/// What a process is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Everything.
    All,
    /// What clients ask.
    Gateway,
    /// The truth.
    Catalog,
    /// The work.
    Transcoder,
}

impl Layout {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Together, Self::Apart];

    /// That of a round: of two rounds in a row each has another, and a seed tells it.
    pub fn of(seed: u64) -> Self {
        Self::ALL[usize::from(!seed.is_multiple_of(2))]
    }

    /// The processes of a mesh, in the order in which they start.
    pub fn roles(self) -> &'static [Role] {
        match self {
            Self::Together => &[Role::All; 2],
            Self::Apart => {
                &[Role::Catalog, Role::Catalog, Role::Transcoder, Role::Transcoder, Role::Gateway, Role::Gateway]
            }
        }
    }
}

impl Role {
    /// Whether clients may ask it.
    pub fn is_gateway(self) -> bool {
        matches!(self, Self::All | Self::Gateway)
    }

    /// Whether it has the catalog, and with it the reports of viewers.
    pub fn is_catalog(self) -> bool {
        matches!(self, Self::All | Self::Catalog)
    }

    /// Whether it works.
    pub fn is_transcoder(self) -> bool {
        matches!(self, Self::All | Self::Transcoder)
    }

    /// As settings call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Gateway => "gateway",
            Self::Catalog => "catalog",
            Self::Transcoder => "transcoder",
        }
    }
}
