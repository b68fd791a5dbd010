//! `list`: videos, page by page.

use super::Context;
use crate::args::List;
use crate::connect::{answer, unary};
use crate::errors::Failure;
use vidstream_proto::error::Exit;
use vidstream_proto::pb;

/// The longest page the server gives.
const PAGE: u64 = 200;

pub async fn run(context: &Context, args: List) -> Result<Exit, Failure> {
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut request = pb::ListVideosRequest {
        state: args.state.map_or(pb::VideoState::Unspecified, Into::into).into(),
        search: args.search.unwrap_or_default(),
        order: pb::VideoOrder::from(args.order).into(),
        ..Default::default()
    };
    // A table's columns are as wide as the widest of all pages; JSON goes out as it comes.
    let mut rows = Vec::new();
    while left > 0 {
        request.page_size = u32::try_from(left.min(PAGE)).unwrap_or(1);
        let page = context.gateway.videos.clone().list_videos(unary(request.clone())).await;
        let mut page = answer(page).map_err(|error| context.gateway.told(error))?;
        page.videos.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= page.videos.len() as u64;
        if context.printer.is_json() {
            context.printer.videos(&page.videos)?;
        } else {
            rows.append(&mut page.videos);
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if !context.printer.is_json() {
        context.printer.videos(&rows)?;
    }
    Ok(Exit::Done)
}
