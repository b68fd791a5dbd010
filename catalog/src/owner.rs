//! Whose objects the object store has.
//!
//! Garbage is what no row refers to, so a catalog over an empty or a wrong database would take everything for garbage: a
//! mistake in a setting, a lost volume, two meshes on one prefix. Therefore one object, outside of all sources, says the
//! name of the database whose objects they are. It is written while there are no objects, or by a catalog that knows one of
//! them; a catalog with another name collects nothing, until somebody says that it shall take the objects over.

use crate::Catalog;
use crate::garbage::store_failed;
use futures::TryStreamExt;
use vidstream_backends::objects::ObjectError;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::SourceId;
use vidstream_source::names;

/// More bytes than any name has.
const LONGEST_NAME: u64 = 64;
/// Times that somebody else may be faster.
const TRIES: usize = 3;
/// Unknown sources after which objects are taken for another catalog's: one whose objects they are knows most of them.
const MOST_UNKNOWN: usize = 1000;
/// What an operator is told.
pub(crate) const ADVICE: &str = "do --catalog and --objects of this server belong together? if this catalog is to have these objects, \
     `vidctl admin gc --adopt` takes them over and removes those that it does not know; --dry-run beside it says which";

/// What to do with objects that are nobody's yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// Say in the store that they are ours, if they are.
    Write,
    /// Only find out whether they are ours.
    Look,
}

impl Catalog {
    /// Sees to it that the store's objects are this catalog's.
    ///
    /// # Errors
    /// [`Reason::ForeignObjects`] if they are another one's, or nobody's and none of them is known here.
    pub(crate) async fn own_objects(&self, claim: Claim) -> Result<(), Problem> {
        let name = self.name().await?;
        for _ in 0..TRIES {
            match self.owner().await? {
                Some(owner) if owner == name => return Ok(()),
                Some(owner) => {
                    let text = format!(
                        "the stored objects belong to another catalog, {owner}, and this one is {name}; none of them is \
                         collected: {ADVICE}"
                    );
                    return Err(Problem::new(Reason::ForeignObjects, text));
                }
                None => self.refuse_unknown().await?,
            }
            if claim == Claim::Look {
                return Ok(());
            }
            match self.objects.put_new(&names::owner(), vec![name.clone().into()]).await {
                // Of several, one was first: read whose it is.
                Ok(()) | Err(ObjectError::AlreadyExists { .. }) => {}
                Err(error) => return Err(store_failed(error)),
            }
        }
        Err(Problem::new(Reason::Unavailable, "the object that says whose the objects are comes and goes; try again"))
    }

    /// Makes the store's objects this catalog's, whosever they were.
    pub(crate) async fn adopt_objects(&self) -> Result<(), Problem> {
        let (name, before) = (self.name().await?, self.owner().await?);
        if before.as_ref() != Some(&name) {
            self.objects.put(&names::owner(), vec![name.clone().into()]).await.map_err(store_failed)?;
            tracing::warn!(catalog = name, ?before, "the stored objects were taken over");
        }
        Ok(())
    }

    /// What this catalog's database is called, also where it was restored.
    async fn name(&self) -> Result<String, Problem> {
        Ok(format!("{:016x}", self.store.position().await?.feed))
    }

    /// The name of the catalog whose objects they are.
    async fn owner(&self) -> Result<Option<String>, Problem> {
        match self.objects.read(&names::owner(), LONGEST_NAME).await {
            Ok(name) => Ok(Some(String::from_utf8_lossy(&name).trim().escape_default().to_string())),
            Err(ObjectError::NotFound { .. }) => Ok(None),
            Err(error) => Err(store_failed(error)),
        }
    }

    /// Refuses objects of sources none of which is known. Looks until it finds one, which mostly is the first.
    async fn refuse_unknown(&self) -> Result<(), Problem> {
        let mut objects = self.objects.list(&names::sources());
        let (mut last, mut unknown): (Option<SourceId>, usize) = (None, 0);
        while let Some(info) = objects.try_next().await.map_err(store_failed)? {
            let source = names::place(&info.name).map(|(source, _)| source);
            let Some(source) = source.filter(|source| last != Some(*source)) else { continue };
            if self.store.source(source).await?.is_some() {
                return Ok(());
            }
            last = Some(source);
            unknown += 1;
            if unknown == MOST_UNKNOWN {
                break;
            }
        }
        if last.is_none() {
            return Ok(());
        }
        let text = format!("this catalog knows none of the stored objects; none of them is collected: {ADVICE}");
        Err(Problem::new(Reason::ForeignObjects, text))
    }
}
