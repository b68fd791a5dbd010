//! Ringing for jobs. A lost bell costs a sweep, so nobody whose work is done waits until it was rung.

use crate::Catalog;
use std::sync::{Arc, Mutex, PoisonError};
use vidstream_backends::queue::{Class, JobQueue};
use vidstream_mesh::trace::{self, Kind, Span};
use vidstream_proto::job::{JobClass, class_name};

/// Whether a class is being rung for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Ringing {
    /// No.
    #[default]
    Rests,
    /// Yes.
    Rings,
    /// Yes, and again after that: whoever asked may have come too late for this bell.
    RingsAgain,
}

/// The bells of all classes. Each is rung by one task at the most, however long the queue takes.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    light: Mutex<Ringing>,
    pictures: Mutex<Ringing>,
    encode: Mutex<Ringing>,
}

impl Bells {
    fn of(&self, class: JobClass) -> Option<(Class, &Mutex<Ringing>)> {
        let ringing = match class {
            JobClass::Light => &self.light,
            JobClass::Pictures => &self.pictures,
            JobClass::Encode => &self.encode,
            JobClass::Unspecified => return None,
        };
        Some((Class::new(class_name(class)), ringing))
    }
}

/// Moves a bell on, and gives how it was.
fn turn(bell: &Mutex<Ringing>, next: impl FnOnce(Ringing) -> Ringing) -> Ringing {
    let mut ringing = bell.lock().unwrap_or_else(PoisonError::into_inner);
    let before = *ringing;
    *ringing = next(before);
    before
}

impl Catalog {
    /// Rings for a class, soon. A bell that fails costs a sweep.
    pub(crate) fn ring(&self, class: JobClass) {
        let Some((_, bell)) = self.bells.of(class) else { return };
        let begin = |before: Ringing| if before == Ringing::Rests { Ringing::Rings } else { Ringing::RingsAgain };
        if turn(bell, begin) != Ringing::Rests {
            return;
        }
        let (bells, queue) = (Arc::clone(&self.bells), Arc::clone(&self.queue));
        tokio::spawn(trace::carried(trace::active(), async move {
            let Some((name, bell)) = bells.of(class) else { return };
            let end = |before: Ringing| if before == Ringing::RingsAgain { Ringing::Rings } else { Ringing::Rests };
            loop {
                ring(&*queue, name).await;
                if turn(bell, end) != Ringing::RingsAgain {
                    return;
                }
            }
        }));
    }
}

async fn ring(queue: &dyn JobQueue, class: Class) {
    // Whoever hears it takes whatever job is best: the trace goes on in the row.
    let _span = Span::below(Kind::Producer, || format!("ring {class}").into());
    if let Err(error) = queue.ring(class).await {
        tracing::warn!(%class, %error, "a bell was lost; the next sweep rings again");
    }
}
