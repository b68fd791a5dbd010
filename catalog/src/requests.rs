//! Request ids: a repeat gets the first answer.

use crate::Catalog;
use crate::store::RequestRow;
use prost::Message;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::RequestId;

/// What was asked, as 32 bytes: the call and its message.
pub(crate) fn fingerprint(call: &str, request: &impl Message) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(call.as_bytes()).update(&[0]).update(&request.encode_to_vec());
    *hasher.finalize().as_bytes()
}

impl Catalog {
    /// The row of an earlier request of this id, if there is one; refused if that one asked for something else.
    pub(crate) async fn earlier(&self, id: RequestId, fingerprint: [u8; 32]) -> Result<Option<RequestRow>, Problem> {
        let row = self.store.request(id).await?;
        row.map(|row| same(row, fingerprint)).transpose()
    }

    /// Remembers `row` unless its id is known; what is remembered under its id.
    pub(crate) async fn remember(&self, row: RequestRow) -> Result<RequestRow, Problem> {
        let fingerprint = row.fingerprint;
        same(self.store.insert_request(row).await?, fingerprint)
    }

    /// The first answer to `request`, which `act` makes if there is none. `act` must be harmless to repeat: a crash can
    /// come before its answer is remembered.
    pub(crate) async fn once<R, A>(
        &self,
        id: RequestId,
        call: &str,
        request: &R,
        act: impl Future<Output = Result<A, Problem>>,
    ) -> Result<A, Problem>
    where
        R: Message,
        A: Message + Default,
    {
        let fingerprint = fingerprint(call, request);
        if let Some(row) = self.earlier(id, fingerprint).await? {
            return answer(&row);
        }
        let answer = act.await?.encode_to_vec();
        let row = self.remember(RequestRow { id, fingerprint, answer, pending: false, made: self.now() }).await?;
        self::answer(&row)
    }
}

/// The answer that a row remembers.
pub(crate) fn answer<A: Message + Default>(row: &RequestRow) -> Result<A, Problem> {
    A::decode(row.answer.as_slice())
        .map_err(|error| Problem::new(Reason::Internal, format!("the first answer can't be read: {error}")))
}

fn same(row: RequestRow, fingerprint: [u8; 32]) -> Result<RequestRow, Problem> {
    if row.fingerprint == fingerprint {
        return Ok(row);
    }
    Err(Problem::new(Reason::RequestIdReused, format!("request {} asked for something else before", row.id)))
}
