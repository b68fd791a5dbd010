//! Lists, searches and single videos of libraries of 1,000, 10,000 and 100,000, against the plain query that reads them all.

use std::time::{Duration, Instant};
use vidstream_bench::client::Client;
use vidstream_bench::library::{self, Wanted};
use vidstream_bench::{cost, media, table};
use vidstream_proto::pb;
use vidstream_tests::server::Server;

/// Calls of one measurement.
const CALLS: u32 = 200;
/// The plain query is slow: so often.
const PLAIN: usize = 3;

/// Which call, and what the plain query looks for to answer the same.
struct Question<'a> {
    what: &'static str,
    call: Call,
    wanted: Wanted<'a>,
}

enum Call {
    List(pb::ListVideosRequest),
    Get(String),
}

fn list(search: &str, order: pb::VideoOrder) -> Call {
    Call::List(pb::ListVideosRequest { search: search.into(), order: order.into(), ..Default::default() })
}

#[tokio::main]
async fn main() {
    let server = Server::on_disk(&media::folder(), &[]);
    let catalog = server.data().join("catalog.sqlite3");
    table::head(
        "The catalog: a page of 50, or one video",
        &["videos", "what", "ours: median", "its CPU a call", "reads them all", "ratio"],
    );
    let mut there = 0;
    for count in [1_000_u64, 10_000, 100_000] {
        eprintln!("bench: making a library of {count} …");
        let last = library::fill(&catalog, there..count).await;
        there = count;
        let rare = format!("number{}", count - 1);
        let newest = pb::VideoOrder::Created;
        let rare_word = [rare.as_str()];
        let questions = [
            Question { what: "list, newest first", call: list("", newest), wanted: Wanted::Newest },
            Question { what: "list, by title", call: list("", pb::VideoOrder::Title), wanted: Wanted::Newest },
            Question {
                what: "search, a word that all have",
                call: list("hol", newest),
                wanted: Wanted::Words(&["hol"]),
            },
            Question {
                what: "search, a word of every tenth",
                call: list("sea", newest),
                wanted: Wanted::Words(&["sea"]),
            },
            Question {
                what: "search, two common words",
                call: list("lake stor", newest),
                wanted: Wanted::Words(&["lake", "stor"]),
            },
            Question { what: "search, a word of one", call: list(&rare, newest), wanted: Wanted::Words(&rare_word) },
            Question { what: "get", call: Call::Get(last.clone()), wanted: Wanted::Id(&last) },
        ];
        for question in questions {
            measure(&server, count, &question).await;
        }
    }
}

async fn measure(server: &Server, count: u64, question: &Question<'_>) {
    let catalog = server.data().join("catalog.sqlite3");
    let mut client = Client::of(&server.address).await;
    let (mut times, mut plain) = (Vec::new(), Vec::new());
    ask(&mut client, &question.call).await;
    for _ in 0..PLAIN {
        let began = Instant::now();
        assert!(!library::read_all(&catalog, &question.wanted).is_empty());
        plain.push(began.elapsed());
    }
    let before = cost::cpu(server.id());
    for _ in 0..CALLS {
        let began = Instant::now();
        ask(&mut client, &question.call).await;
        times.push(began.elapsed());
    }
    let cpu = cost::cpu(server.id()).saturating_sub(before) / CALLS;
    let (ours, all) = (table::median(&times), table::median(&plain));
    table::row(&[
        count.to_string(),
        question.what.to_owned(),
        millis(ours),
        millis(cpu),
        millis(all),
        table::ratio(all, ours),
    ]);
}

async fn ask(client: &mut Client, call: &Call) {
    match call {
        Call::List(request) => assert!(!client.list(request.clone()).await.videos.is_empty()),
        Call::Get(id) => assert_eq!(client.video(id).await.id, *id),
    }
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
